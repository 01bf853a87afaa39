/**
 * The examples of examples/networks: the Node scripts find what is in the pictures, and the pages, in Chromium, find the same to the last
 * bit of every score; digests of every network's outputs are the same on WebGPU, too. They run on the built package, as their readers have
 * it: `npm test` builds before tests run.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodePicture, loadModel, resize } from '../../src/index.ts';
import { launchChromium } from '../support/chromium.ts';
import { profiledPixels, profiledPngs } from '../support/profiled-png.ts';
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

test('find-faces finds the astronaut and draws a box, and pages find the same', async () => {
  const out = join(await mkdtemp(join(tmpdir(), 'octet-faces-')), 'out.png');
  const found = await inNode('find-faces', 'astronaut', out);
  const [before, drawn] = await Promise.all(
    [picture('astronaut'), out].map(async (file) => decodePicture(new Uint8Array(await readFile(file)))),
  );
  await rm(dirname(out), { recursive: true });
  expect([drawn.width, drawn.height]).toEqual([before.width, before.height]);
  const faces = JSON.parse(found) as { box: number[]; score: number; points: number[] }[];
  expect(faces).toHaveLength(1);
  expect(faces[0].score).toBeGreaterThan(0.9);
  // What the float networks say (docs/networks.md), give or take 5 pixels.
  for (const [side, value] of [90, 30, 134, 87].entries()) {
    expect(Math.abs(faces[0].box[side] - value), `side ${side}`).toBeLessThanOrEqual(5);
  }
  const [left, top, right, bottom] = faces[0].box;
  for (let y = 0; y < before.height; y++) {
    for (let x = 0; x < before.width; x++) {
      const distance = Math.max(left - x, x - right, top - y, y - bottom);
      const at = 3 * (y * before.width + x);
      const isSame = [0, 1, 2].every((c) => drawn.data[at + c] === before.data[at + c]);
      if (Math.abs(distance) > 2) expect(isSame, `${x}, ${y}`).toBe(true);
      else if (distance === 0) expect(isSame, `${x}, ${y}`).toBe(false);
    }
  }
  expect(await inPage('find-faces.html?backend=wasm', 'astronaut')).toBe(found);
}, 400_000);

test('find-text finds the lines of a page, and pages find the same', async () => {
  const found = await inNode('find-text', 'page', '', '192');
  const boxes = JSON.parse(found) as { corners: number[]; score: number }[];
  expect(boxes.length).toBeGreaterThanOrEqual(5);
  expect(await inPage('find-text.html?backend=wasm&side=192', 'page')).toBe(found);
}, 400_000);

test('classify says the same in Node and in pages', async () => {
  const said = 'Egyptian cat 45 %, tiger cat 28 %, tabby 20 %';
  expect(await inNode('classify', 'cat')).toContain(said);
  expect(await inPage('classify.html?backend=wasm', 'cat')).toContain(said);
}, 400_000);

/** A page with the package's import map, and no model before a picture is chosen. */
async function emptyPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${server.url}examples/networks/find-text.html`, { timeout: 120_000 });
  return page;
}

test.each([
  ['efficientnet-lite0', 224, 224],
  ['faces-proposal', 55, 68],
  ['faces-refinement', 24, 24],
  ['faces-output', 48, 48],
  ['text-detector', 64, 96],
])(
  'digests of %s are the same in Node and in pages, on wasm and WebGPU',
  async (name, height, width) => {
    const astronaut = await decodePicture(new Uint8Array(await readFile(picture('astronaut'))));
    const input = resize(astronaut, width, height, { fit: 'stretch' });
    const inputShape = { input: [1, 3, height, width] };
    using model = await loadModel(`${root}models/${name}.int8.onnx`, { backend: 'wasm', inputShape });
    const { outputs } = await model.run({ input }, { integers: true });
    const expected = Object.entries(outputs).map(([output, { integers }]) => {
      const { buffer, byteOffset, byteLength } = integers!;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      return `${output} ${createHash('sha256').update(bytes).digest('hex')}`;
    });
    const page = await emptyPage();
    for (const backend of ['wasm', 'webgpu']) {
      // As text: the page's import map says where the package is, and Vitest would say otherwise.
      const digests = await page.evaluate<string[]>(`(async () => {
      const { loadModel } = await import('octetjs');
      const [backend, input] = ${JSON.stringify([backend, { ...input, data: [...input.data] }])};
      input.data = Uint8Array.from(input.data);
      // Of the detectors the run chooses the size.
      const model = await loadModel('../../models/${name}.int8.onnx', { backend });
      const { outputs } = await model.run({ input }, { integers: true });
      model.dispose();
      const digests = [];
      for (const [output, { integers }] of Object.entries(outputs)) {
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', integers));
        digests.push(output + ' ' + Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join(''));
      }
      return digests;
    })()`);
      expect(digests, backend).toEqual(expected);
    }
    await page.close();
  },
  400_000,
);

test('pictures with colour profiles and gamma decode to the same bytes in pages', async () => {
  const page = await emptyPage();
  for (const png of Object.values(await profiledPngs())) {
    const data = await page.evaluate<number[]>(`(async () => {
      const { decodePicture } = await import('octetjs');
      return [...(await decodePicture(Uint8Array.from(${JSON.stringify([...png])}))).data];
    })()`);
    expect(data).toEqual([...profiledPixels]);
  }
  await page.close();
});
