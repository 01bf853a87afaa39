/**
 * The wasm backend in headless Chromium, on pages that Vite serves from the sources: one that may share memory and one that may not. Chromium
 * is where relaxed SIMD is tested: Node 20 hides it, and its instruction ignores the sum it is given, which the self-test sees.
 */
import type { Browser, Page } from 'playwright';
import type { ViteDevServer } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { ISOLATION, servePage } from './page/serve.ts';

let browser: Browser;
const servers: ViteDevServer[] = [];
/** What the pages complained of. */
const complaints: string[] = [];

async function openPage(headers: Record<string, string>, cache: string): Promise<Page> {
  const { server, url } = await servePage(headers, cache);
  servers.push(server);
  const page = await browser.newPage();
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(url);
  await page.waitForFunction(() => 'runSession' in window, undefined, { timeout: 120_000 });
  return page;
}

let isolated: Page;
let plain: Page;

beforeAll(async () => {
  browser = await launchChromium([]);
  isolated = await openPage(ISOLATION, 'vite-wasm-isolated');
  plain = await openPage({}, 'vite-wasm-plain');
});

afterAll(async () => {
  await browser?.close();
  await Promise.all(servers.map((server) => server.close()));
});

async function runKernels(page: Page, threads: number, relaxed: boolean) {
  const report = await page.evaluate(([count, flag]) => window.runKernels(count, flag), [
    threads,
    relaxed,
  ] as const);
  expect(report.failures.slice(0, 5).join('\n\n')).toBe('');
  expect(complaints.splice(0)).toEqual([]);
  return report;
}

test('SIMD kernels equal the reference', async () => {
  const { runs } = await runKernels(plain, 1, false);
  expect(runs['direct-8']).toBeGreaterThan(100);
  expect(runs['winograd-4']).toBeGreaterThan(25);
});

for (const threads of [1, 2]) {
  test(`relaxed SIMD kernels on ${threads} thread(s) equal the reference`, async () => {
    const { runs, relaxedDot } = await runKernels(isolated, threads, true);
    expect(relaxedDot).not.toBe('none');
    expect(runs.relaxed).toBeGreaterThan(100);
  });
}

test('an isolated page gets threads, another one thread and a reason', async () => {
  const cores = await isolated.evaluate(() => navigator.hardwareConcurrency);
  const expected = { threads: Math.min(cores, 8), equal: true };
  expect(await isolated.evaluate(() => window.runSession(undefined))).toEqual(expected);
  expect(await isolated.evaluate(() => window.runSession(2))).toEqual({ threads: 2, equal: true });
  expect(await plain.evaluate(() => window.runSession(undefined))).toEqual({ threads: 1, equal: true });
  expect(await plain.evaluate(() => window.runSession(2))).toEqual({
    error: expect.stringContaining('cross-origin isolated') as string,
  });
  expect(complaints.splice(0)).toEqual([]);
});
