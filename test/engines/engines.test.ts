/**
 * The same bytes in JavaScriptCore (Bun; Safari's engine) and SpiderMonkey (Firefox) as in V8 (Node): functions, tables, probabilities and
 * every tensor of three networks.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'puppeteer-core';
import type { ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchFirefox } from '../support/firefox.ts';
import { ISOLATION, servePage } from '../wasm/page/serve.ts';
import { type Digests, functionDigests, modelDigests, MODELS } from './digests.ts';
import { prepareFiles } from './prepare.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = '.cache/engines';
const read = async (name: string) => new Uint8Array(await readFile(join(root, folder, name)));

/** What V8 says, on the reference. */
const expected: Record<string, Digests> = {};

beforeAll(async () => {
  await prepareFiles(join(root, folder));
  expected.functions = await functionDigests();
  for (const model of MODELS) expected[model] = await modelDigests(model, 'reference', read);
});

test('there is something to compare', () => {
  const counts = Object.values(expected).map((digests) => Object.keys(digests).length);
  expect(counts[0]).toBe(8);
  for (const count of counts.slice(1)) expect(count).toBeGreaterThan(15);
  for (const digests of Object.values(expected)) {
    expect(new Set(Object.values(digests)).size).toBe(Object.keys(digests).length);
  }
});

test('Bun gives the same bytes on wasm with one thread and two, and on the reference', async () => {
  const bun = join(root, 'node_modules/.bin/bun');
  const args = ['--conditions=octet:source', 'test/engines/bun.ts', folder];
  const { stdout } = await promisify(execFile)(bun, args, { cwd: root, maxBuffer: 2 ** 24 });
  const { version, report } = JSON.parse(stdout) as { version: string; report: Record<string, Digests> };
  expect(version).toMatch(/^\d+\.\d+/);
  expect(report.functions).toEqual(expected.functions);
  delete report.functions;
  expect(Object.keys(report).length).toBe(8);
  for (const [run, digests] of Object.entries(report)) {
    expect(digests, run).toEqual(expected[run.split(' ')[0]]);
  }
});

describe('Firefox', () => {
  let browser: Browser;
  let server: ViteDevServer;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    const served = await servePage(ISOLATION, 'vite-wasm-firefox');
    server = served.server;
    browser = await launchFirefox();
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    await page.goto(served.url);
    await page.waitForFunction(() => 'modelDigests' in window, { timeout: 120_000 });
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  test('is Firefox', async () => {
    expect(await page.evaluate(() => navigator.userAgent)).toMatch(/Gecko\/.*Firefox\//);
  });

  test('gives the same bits for the functions', async () => {
    expect(await page.evaluate(() => window.functionDigests())).toEqual(expected.functions);
  });

  test.each(MODELS)('gives the same bytes for every tensor of %s', async (model) => {
    for (const threads of [1, 2]) {
      const run = (name: typeof model, at: string, count: number) => window.modelDigests(name, at, count);
      expect(await page.evaluate(run, model, `/${folder}`, threads)).toEqual(expected[model]);
    }
    expect(complaints).toEqual([]);
  });

  test.each([1, 2])('runs the SIMD kernels like the reference, %i thread(s)', async (threads) => {
    const { failures, runs } = await page.evaluate((count) => window.runKernels(count, false), threads);
    expect(failures.slice(0, 5).join('\n\n')).toBe('');
    expect(runs['direct-8']).toBeGreaterThan(100);
    expect(runs['winograd-4']).toBeGreaterThan(25);
    expect(complaints).toEqual([]);
  });
});
