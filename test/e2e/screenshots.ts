/** Pictures of all views of the demo, on a desktop and a phone, light and dark: builds the site, visits it, writes docs/screenshots/. */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright';
import sharp from 'sharp';
import { buildSite, openView } from './site.ts';
import { serveFolder } from '../support/static-server.ts';
import { launchChromium } from '../support/chromium.ts';

const out = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));

/** Each view, and what a visitor does there before the picture is taken. */
const VIEWS: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  gallery: (page) => openView(page, 'Gallery'),
  inside,
  bits: (page) => openView(page, 'Bits'),
  'test-set': classifyAll,
  verify,
  benchmark: (page) => openView(page, 'Benchmark'),
  'your-model': ownModel,
};

const SIZES = [
  { suffix: '', viewport: { width: 1440, height: 900 } },
  { suffix: '-phone', viewport: { width: 390, height: 844 } },
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
  await page.getByRole('button', { name: 'How does one of these bytes come about?' }).click();
  await page.locator('.conv-steps').waitFor();
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
  for (const { suffix, viewport } of SIZES) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ viewport, colorScheme });
      await page.goto(`${host.url}?backend=wasm`);
      await page.locator('.verdict').waitFor({ timeout: 60_000 });
      for (const [view, prepare] of Object.entries(VIEWS)) {
        await prepare(page);
        await page.mouse.move(0, 0);
        await page.evaluate(() => scrollTo(0, 0));
        // A frame for tiles and charts that were asked for just now.
        await page.waitForTimeout(500);
        const name = `${view}${suffix}${colorScheme === 'dark' ? '-dark' : ''}.webp`;
        await sharp(await page.screenshot())
          .webp({ quality: 78 })
          .toFile(out + name);
        process.stdout.write(`docs/screenshots/${name}\n`);
      }
      await page.close();
    }
  }
} finally {
  await browser.close();
  await host.close();
}
