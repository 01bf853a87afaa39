/**
 * The examples of examples/networks: the Node scripts find what is in the pictures, and the pages, in Chromium on wasm and on WebGPU, find the same to
 * the last bit of every score. They run on the built package, as their readers have it: `npm test` builds before tests run.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodePicture, loadModel } from '../../src/index.ts';
import { launchChromium } from '../support/chromium.ts';
import { serveFolder, type StaticServer } from '../support/static-server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const picture = (name: string) => `${root}examples/pictures/${name}.png`;

let server: StaticServer;
let browser: Browser;

beforeAll(async () => {
  server = await serveFolder(root, { isolated: false });
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

async function inNode(script: string, name: string, ...rest: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...[`${root}examples/networks/${script}.mjs`, picture(name), ...rest],
  ]);
  return stdout.trim();
}

/** What an example's page says of a picture. */
async function inPage(address: string, name: string): Promise<string> {
  const page = await browser.newPage();
  try {
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(`${server.url}examples/networks/${address}`);
    const output = page.locator('output');
    await expect.poll(() => output.textContent(), { timeout: 60_000 }).toContain('hoose a picture');
    const before = await output.textContent();
    await page.locator('input').setInputFiles(picture(name));
    await expect.poll(() => output.textContent(), { timeout: 200_000 }).not.toBe(before);
    expect(complaints).toEqual([]);
    return (await output.textContent())!;
  } finally {
    await page.close();
  }
}

test('find-faces finds the astronaut, and pages find the same', async () => {
  const found = await inNode('find-faces', 'astronaut');
  const faces = JSON.parse(found) as { box: number[]; score: number; points: number[] }[];
  expect(faces).toHaveLength(1);
  expect(faces[0].score).toBeGreaterThan(0.9);
  // What the float networks say (docs/networks.md), give or take 5 pixels.
  for (const [side, value] of [90, 30, 134, 87].entries()) {
    expect(Math.abs(faces[0].box[side] - value), `side ${side}`).toBeLessThanOrEqual(5);
  }
  expect(await inPage('find-faces.html?backend=wasm', 'astronaut')).toBe(found);
  expect(await inPage('find-faces.html?backend=webgpu', 'astronaut')).toBe(found);
}, 400_000);

test('find-text finds the lines of a page, and pages find the same', async () => {
  const found = await inNode('find-text', 'page', '', '192');
  const boxes = JSON.parse(found) as { corners: number[]; score: number }[];
  expect(boxes.length).toBeGreaterThanOrEqual(5);
  expect(await inPage('find-text.html?backend=wasm&side=192', 'page')).toBe(found);
  expect(await inPage('find-text.html?backend=webgpu&side=192', 'page')).toBe(found);
}, 400_000);

test('classify says the same in Node and in pages, to the integer', async () => {
  const said = 'Egyptian cat 36 %, tiger cat 35 %, tabby 18 %';
  expect(await inNode('classify', 'cat')).toContain(said);
  const model = await loadModel(`${root}models/efficientnet-lite0.int8.onnx`, { backend: 'wasm' });
  const input = await decodePicture(new Uint8Array(await readFile(picture('cat'))));
  const { outputs } = await model.run({ input }, { integers: true });
  model.dispose();
  for (const backend of ['wasm', 'webgpu'] as const) {
    expect(await inPage(`classify.html?backend=${backend}`, 'cat')).toContain(said);
    const page = await browser.newPage();
    await page.goto(`${server.url}examples/networks/classify.html?backend=reference`);
    // As text: the page's import map says where the package is, and Vitest would say otherwise.
    const integers = await page.evaluate<number[]>(`(async () => {
      const { loadModel } = await import('octetjs');
      const model = await loadModel('../../models/efficientnet-lite0.int8.onnx', { backend: '${backend}' });
      const input = { width: 224, height: 224, data: Uint8Array.from(${JSON.stringify([...input.data])}) };
      const { outputs } = await model.run({ input }, { integers: true });
      return [...outputs.logits.integers];
    })()`);
    await page.close();
    expect(integers).toEqual([...outputs.logits.integers!]);
  }
}, 400_000);
