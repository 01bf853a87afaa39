/** The built demo in a browser, as a visitor has it: everything that a test of it starts from. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, BrowserContextOptions, Page } from 'playwright';
import sharp from 'sharp';
import { makeSiteFiles } from '../../scripts/site-files.ts';
import type { Picture } from '../../src/index.ts';
import { readSheet, type Sheet } from '../../src/index-quantize.ts';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));

/** Builds the site as `npm run build:site` does, into a folder of its own. */
export async function buildSite(): Promise<string> {
  await makeSiteFiles();
  const folder = path('.cache/e2e-site');
  // A process of its own: the test runner's NODE_ENV would make it a development build.
  await promisify(execFile)(
    process.execPath,
    [path('node_modules/vite/bin/vite.js'), 'build', '--outDir', folder, '--logLevel', 'error'],
    { cwd: path('.'), env: { ...process.env, NODE_ENV: 'production' } },
  );
  return folder;
}

export async function testSheet(): Promise<Sheet> {
  const png = await readFile(path('models/cifar10/test-1000.png'));
  const index: unknown = JSON.parse(await readFile(path('models/cifar10/test-1000.json'), 'utf8'));
  return readSheet(new Uint8Array(png), index);
}

export function encodePng({ width, height, data }: Picture): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** A page, and what it complained of: errors, warnings, and files that were not there. */
export interface Visit {
  readonly page: Page;
  readonly complaints: string[];
}

export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()} ${response.url()}`);
  });
  await page.goto(url);
  return { page, complaints };
}

export async function openView(page: Page, name: string): Promise<void> {
  const link = page.getByRole('navigation').getByRole('link', { name });
  await link.click();
  // The address changes at once, the view with the event that follows.
  await link.and(page.locator('[aria-current="page"]')).waitFor();
}

export interface ShownAnswer {
  readonly title: string;
  readonly labels: readonly string[];
  /** As `significant` rounds them. */
  readonly probabilities: readonly number[];
}

/**
 * A probability to 12 digits. The logits are the same integers everywhere, but softmax ends in Math.exp, whose last bit is each engine's
 * own (ECMAScript leaves its accuracy open), and Node's V8 is another than the browser's.
 */
export const significant = (probability: number): number => Number(probability.toPrecision(12));

/** Waits until the answer to the picture called `title` is shown. */
export async function answerTo(page: Page, title: string): Promise<ShownAnswer> {
  const answer = page.locator(`.answer[data-picture="${title}"]`);
  await answer.waitFor();
  const guesses = answer.getByRole('list', { name: 'Most probable classes' }).getByRole('listitem');
  return {
    title,
    labels: await guesses
      .locator('.guess-label')
      .evaluateAll((all) => all.map((element) => element.firstChild!.textContent!)),
    probabilities: await guesses
      .locator('data')
      .evaluateAll((all) => all.map((element) => Number((element as HTMLDataElement).value)))
      .then((all) => all.map(significant)),
  };
}
