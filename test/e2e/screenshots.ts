/** Pictures of the demo's main views for README and docs: builds the site, visits it in headless Chromium, writes docs/screenshots/. */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright';
import sharp from 'sharp';
import { buildSite, openView } from './site.ts';
import { serveFolder } from '../support/static-server.ts';
import { launchChromium } from '../support/chromium.ts';

const out = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));

interface Shot {
  readonly name: string;
  readonly colorScheme?: 'light' | 'dark';
  readonly size?: { readonly width: number; readonly height: number };
  readonly prepare?: (page: Page) => Promise<void>;
}

const phone = { width: 390, height: 844 };

const SHOTS: readonly Shot[] = [
  { name: 'gallery' },
  { name: 'gallery-dark', colorScheme: 'dark' },
  { name: 'gallery-phone', size: phone },
  { name: 'gallery-phone-dark', size: phone, colorScheme: 'dark' },
  { name: 'test-set', prepare: classifyAll },
  { name: 'inside', prepare: inside, size: { width: 1440, height: 1100 } },
  { name: 'inside-dark', prepare: inside, colorScheme: 'dark', size: { width: 1440, height: 1100 } },
  { name: 'bits', prepare: (page) => openView(page, 'Bits') },
  { name: 'bits-phone', size: phone, prepare: (page) => openView(page, 'Bits') },
  { name: 'your-model', prepare: ownModel, size: { width: 1440, height: 1100 } },
  { name: 'verify', prepare: verify },
];

async function classifyAll(page: Page): Promise<void> {
  await openView(page, 'Test set');
  await page.getByRole('button', { name: 'Classify all 1,000' }).click();
  await page.getByText(/^Done: /).waitFor({ timeout: 180_000 });
}

async function inside(page: Page): Promise<void> {
  await openView(page, 'Inside');
  const layers = page.getByRole('group', { name: 'Layers' }).getByRole('button');
  await layers.nth(2).click();
  await page.locator('.histogram svg').nth(1).waitFor();
}

async function verify(page: Page): Promise<void> {
  await openView(page, 'Verify');
  await page.getByRole('button', { name: /^Compare/ }).click();
  await page.locator('.outcome:not(.golden) strong').waitFor({ timeout: 60_000 });
}

async function ownModel(page: Page): Promise<void> {
  await openView(page, 'Your model');
  await page.getByRole('button', { name: 'Try it with ResNet-20' }).click();
  await page.getByRole('button', { name: /^Use 64/ }).click();
  await page.getByRole('button', { name: 'Quantize', exact: true }).click();
  await page.getByRole('button', { name: 'Download the int8 model' }).waitFor({ timeout: 120_000 });
}

await mkdir(out, { recursive: true });
const host = await serveFolder(await buildSite(), { isolated: true });
const browser = await launchChromium();
try {
  for (const { name, colorScheme = 'light', size = { width: 1440, height: 900 }, prepare } of SHOTS) {
    const page = await browser.newPage({ viewport: size, colorScheme });
    await page.goto(`${host.url}?backend=wasm`);
    await page.locator('.verdict').waitFor({ timeout: 60_000 });
    await prepare?.(page);
    await page.mouse.move(0, 0);
    await page.evaluate(() => scrollTo(0, 0));
    // A frame for tiles and charts that were asked for just now.
    await page.waitForTimeout(500);
    await sharp(await page.screenshot())
      .webp({ quality: 82 })
      .toFile(`${out}${name}.webp`);
    await page.close();
    process.stdout.write(`docs/screenshots/${name}.webp\n`);
  }
} finally {
  await browser.close();
  await host.close();
}
