/** The GPU suites in headless Chromium, on a page that Vite serves from the sources. */
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright';
import { createServer, defaultClientConditions, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeFlagship } from '../../scripts/quantize-flagship.ts';
import { launchChromium } from '../support/chromium.ts';
import { expectReport } from './expect-report.ts';
import type { SuiteName } from './suites/index.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

let server: ViteDevServer;
let browser: Browser;
let page: Page;
/** What the page complained of. */
const complaints: string[] = [];

beforeAll(async () => {
  await makeFlagship();
  server = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    cacheDir: fileURLToPath(new URL('../../.cache/vite-gpu-suites', import.meta.url)),
    resolve: { conditions: ['octet:source', ...defaultClientConditions] },
    optimizeDeps: { entries: ['test/webgpu/page/index.html'], exclude: ['onnxruntime-web'] },
    server: { port: 0, host: '127.0.0.1', watch: null, hmr: false },
    appType: 'mpa',
  });
  await server.listen();
  browser = await launchChromium();
  page = await browser.newPage();
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(`${server.resolvedUrls!.local[0]}test/webgpu/page/index.html`);
  await page.waitForFunction(() => 'runSuite' in window, undefined, { timeout: 120_000 });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

async function run(name: SuiteName, least: number): Promise<void> {
  const report = await page.evaluate((suite) => window.runSuite(suite), name);
  expectReport('Chromium', name, report, least);
  expect(complaints.splice(0)).toEqual([]);
}

test('every kernel variant equals the reference', () => run('kernels', 150), 400_000);
test('random programs equal the reference', () => run('random programs', 100), 300_000);
test('buffers, overlap, loss and wrong kernels', () => run('lifecycle', 60), 300_000);
test('all tensors of VGG16 on 24 pictures, batches 1, 3 and 8', () => run('vgg16', 595), 400_000);
