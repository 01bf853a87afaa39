/** The demo as its visitors use it: the built site in headless Chromium, from a plain host and a subfolder. */
import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { deflateSync, gzipSync } from 'node:zlib';
import { AxeBuilder } from '@axe-core/playwright';
import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import type { Browser, Page } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadModel, softmax } from '../../src/index.ts';
import {
  decodeModel,
  encodeModel,
  imageBatches,
  openFloatSession,
  quantize,
  type Sheet,
} from '../../src/index-quantize.ts';
import { inspectModel, makeGoldenPack, parseDeviceProfile } from '../../src/index-inspect.ts';
import { launchChromium, webgpuFlags } from '../support/chromium.ts';
import { createQdqGraph } from '../support/qdq-graph.ts';
import { shiftsOf, traceTasks, watchShifts } from './smoothness.ts';
import {
  answerTo,
  buildSite,
  encodePng,
  openView,
  significant,
  testSheet,
  visit,
  type Visit,
} from './site.ts';
import { serveFolder, type StaticServer } from '../support/static-server.ts';

/** Like `expect.poll`, patient enough for a busy machine. */
const eventually = <T>(read: () => T) => expect.poll(read, { timeout: 120_000, interval: 100 });

let folder: string;
let host: StaticServer;
let browser: Browser;
let sheet: Sheet;

beforeAll(async () => {
  folder = await buildSite();
  sheet = await testSheet();
  host = await serveFolder(folder, { isolated: true });
  browser = await launchChromium([
    ...webgpuFlags,
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
  ]);
});

afterAll(async () => {
  await browser?.close();
  await host?.close();
});

const modelFile = (name: string) => fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
/** What the page starts with. */
const firstModel = modelFile('resnet20-cifar10.w4.int8.onnx');

/** The command. */
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** How the page takes pixels to be normalized where a file does not say it. */
const imagenet = [
  ['mean', '0.485,0.456,0.406'],
  ['std', '0.229,0.224,0.225'],
] as const;

/** What the reference backend says, in Node. */
async function referenceAnswer(index: number): Promise<{ labels: string[]; probabilities: number[] }> {
  using model = await loadModel(firstModel, { backend: 'reference' });
  const { predictions } = await model.classify(sheet.pictures[index], { topK: 5 });
  return {
    labels: predictions.map(({ label }) => label),
    probabilities: predictions.map(({ probability }) => significant(probability)),
  };
}

/** The classes' probabilities by the float model, in Node. */
async function floatAnswer(index: number): Promise<Float64Array> {
  const graph = decodeModel(await readFile(modelFile('resnet20-cifar10.onnx')));
  const session = await openFloatSession(graph, ['logits']);
  try {
    const logits: number[] = [];
    for await (const batch of imageBatches(graph, [sheet.pictures[index]])) {
      logits.push(...(await session.run(batch)).get('logits')!.data);
    }
    return softmax(logits);
  } finally {
    await session.dispose();
  }
}

/** Hands files to the page as the clipboard or a drag does. */
async function give(
  page: Page,
  how: 'drop' | 'paste',
  name: string,
  type: string,
  bytes: Uint8Array,
): Promise<void> {
  await page.evaluate(
    ({ how: kind, name: fileName, type: mime, base64 }) => {
      const transfer = new DataTransfer();
      const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      transfer.items.add(new File([content], fileName, { type: mime }));
      const target = document.querySelector('h1')!;
      target.dispatchEvent(
        kind === 'drop'
          ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
          : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }),
      );
    },
    { how, name, type, base64: Buffer.from(bytes).toString('base64') },
  );
}

/** Runs axe on what is shown, in both themes. */
async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const described = violations.map(
      ({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ html }) => html).join(' ')})`,
    );
    expect(described, `${await page.locator('h2').innerText()}, ${colorScheme}`).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: null });
}

/** A PNG that is all header: `width` × `height` pixels in a hundred bytes. */
function hollowPng(width: number, height: number): Uint8Array {
  const chunk = (type: string, data: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, Buffer.from(type, 'latin1'), data, Buffer.alloc(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(1))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** A quantized model of 8×8 pictures and of three classes without names. */
function smallModel(): Uint8Array {
  const graph = createQdqGraph();
  const pixels = graph.qdq(graph.input('pixels', ['N', 3, 8, 8]), 1 / 64, 0);
  const weights = Int8Array.from({ length: 3 * 3 * 8 * 8 }, (_, index) => ((index * 37) % 255) - 127);
  const dense = graph.node('Conv', [pixels, graph.dq([3, 3, 8, 8], weights, 0.01)], { kernel_shape: [8, 8] });
  graph.output(graph.node('Flatten', [dense], { axis: 1 }), ['N', 3]);
  const half = '[0.5, 0.5, 0.5]';
  const metadata = new Map([
    ['mean', half],
    ['std', half],
  ]);
  return encodeModel({ ...graph.build(), name: 'small', metadata });
}

/** Presses Tab around the page: which controls there are, which got the focus, and which of those did not show it. */
async function tabThrough(page: Page): Promise<{ wanted: string[]; reached: string[]; unmarked: string[] }> {
  const wanted = await page.evaluate(() => {
    const controls = [
      ...document.querySelectorAll<HTMLElement>('a, button, input, select, summary, [tabindex="0"]'),
    ].filter(
      (element) =>
        element.checkVisibility() && element.tabIndex >= 0 && !(element as HTMLButtonElement).disabled,
    );
    controls.forEach((element, index) => {
      const name = element.ariaLabel ?? element.textContent.trim().slice(0, 40);
      element.dataset.stop = `${index} ${element.localName} ${name}`;
    });
    (document.activeElement as HTMLElement | null)?.blur();
    return controls.map(({ dataset }) => dataset.stop!);
  });
  const reached: string[] = [];
  const unmarked: string[] = [];
  // The browser's own stops (scrollable boxes, the end of the document) come on top.
  for (let press = 0; press < wanted.length + 8; press++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      const { outlineStyle, boxShadow } = getComputedStyle(element);
      // The grid of pictures marks the tile that the arrow keys are at.
      const marked = outlineStyle !== 'none' || boxShadow !== 'none' || element.role === 'listbox';
      return { name: element.dataset.stop, marked };
    });
    if (stop.name === undefined) continue;
    reached.push(stop.name);
    if (!stop.marked) unmarked.push(stop.name);
  }
  return { wanted, reached, unmarked };
}

async function chooseModel(page: Page, id: string): Promise<void> {
  await page.locator('.model-menu').selectOption(id);
  await eventually(() => page.locator('.status-text').innerText()).toMatch(/^On /);
}

const VIEWS = ['Gallery', 'Your model', 'Test set', 'Inside', 'Bits', 'Verify', 'Benchmark'];

describe('on WebGPU', () => {
  let visitor: Visit;

  beforeAll(async () => {
    visitor = await visit(browser, `${host.url}?backend=webgpu`);
    await visitor.page.locator('.verdict').waitFor();
  });
  afterEach(() => expect(visitor.complaints.splice(0)).toEqual([]));
  afterAll(() => visitor?.page.context().close());

  test('a gallery picture gets the probabilities of the reference', async () => {
    const { page } = visitor;
    await page.getByRole('option', { name: /test picture 5$/ }).click();
    const shown = await answerTo(page, 'Test picture 5');
    expect(shown).toEqual({ title: 'Test picture 5', ...(await referenceAnswer(4)) });
    expect(await page.locator('.status-text').innerText()).toContain('WebGPU');
  });

  test('every tensor equals the reference’s', async () => {
    const { page } = visitor;
    await openView(page, 'Verify');
    await page.getByRole('button', { name: 'Compare WebGPU with the reference' }).click();
    await eventually(() => page.locator('.outcome:not(.golden)').innerText()).toMatch(
      /^Equal.*WebGPU against/s,
    );
    const results = await page
      .getByRole('region', { name: 'Tensors compared' })
      .locator('td:last-child')
      .allInnerTexts();
    expect(results.length).toBeGreaterThanOrEqual(15);
    expect(new Set(results)).toEqual(new Set(['equal']));
    expect(await page.locator('.facts').innerText()).toMatch(/swiftshader/i);
    await expectAccessible(page);
  });

  test('a golden pack from Node is verified here, and a changed one is not', async () => {
    const { page } = visitor;
    const model = await readFile(firstModel);
    const pixels = Uint8Array.from(sheet.pictures[3].data);
    const pack = await makeGoldenPack(model, [{ name: 'test picture 4', inputs: { input: { pixels } } }], {
      backend: 'reference',
      withModel: false,
    });
    await openView(page, 'Verify');
    const give = (buffer: Uint8Array) =>
      page
        .getByLabel('Golden pack to verify')
        .setInputFiles({ name: 'golden.zip', mimeType: 'application/zip', buffer: Buffer.from(buffer) });
    await give(pack);
    await eventually(() => page.locator('.golden').innerText()).toMatch(
      /^Equal\s+verified: .* on webgpu on /,
    );
    const files = unzipSync(pack);
    const text = strFromU8(files['golden.json']);
    const wrong = text.replace(/("name": "logits"[^]*?"sha256": ")[0-9a-f]{8}/, '$100000000');
    expect(wrong).not.toBe(text);
    await give(zipSync({ ...files, 'golden.json': strToU8(wrong) }));
    await eventually(() => page.locator('.golden').innerText()).toMatch(/^Not equal\s+DIFFERS at "logits"/);
  });

  test('the profile of this device is what octet inspect takes', async () => {
    const { page } = visitor;
    await openView(page, 'Verify');
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Device profile' }).click();
    const profile = parseDeviceProfile(await readFile(await (await saved).path(), 'utf8'));
    expect(profile).toMatchObject({ backend: 'webgpu', source: 'measured' });
    const { rates } = profile;
    for (const rate of [rates.bandwidth, rates.dispatchMicroseconds]) expect(rate).toBeGreaterThan(0.01);
    expect(inspectModel(decodeModel(await readFile(firstModel)), { target: profile }).target).toEqual(
      profile,
    );
  });

  test('the graph is the report that Node makes, number for number', async () => {
    const { page } = visitor;
    await openView(page, 'Inside');
    await page.getByRole('button', { name: 'Draw the graph' }).click();
    const frame = page.frameLocator('iframe[title="Graph of the network"]');
    await frame.locator('g.node[role=button]').first().waitFor({ timeout: 120_000 });
    const data = JSON.parse(await frame.locator('#data').innerHTML()) as { inspection: unknown };
    const graph = decodeModel(await readFile(firstModel));
    const here = inspectModel(graph, { target: 'webgpu-software' });
    expect(data.inspection).toEqual(JSON.parse(JSON.stringify(here)));
    await frame.locator('#node-0').click();
    expect(await frame.locator('aside').innerText()).toMatch(/accumulator\s+at most/);
  });

  test('a lost device is opened again', async () => {
    const { page } = visitor;
    const crash = await page.context().newPage();
    // Chromium ends its GPU process for this address, and the navigation with it.
    await crash.goto('chrome://gpucrash').catch(() => undefined);
    await crash.close();
    await openView(page, 'Gallery');
    await page.getByRole('option', { name: /test picture 9$/ }).click();
    const shown = await answerTo(page, 'Test picture 9');
    expect(shown).toEqual({ title: 'Test picture 9', ...(await referenceAnswer(8)) });
  });
});

describe('on WebAssembly', () => {
  let visitor: Visit;

  beforeAll(async () => {
    visitor = await visit(browser, `${host.url}?backend=wasm`);
    await visitor.page.locator('.verdict').waitFor();
  });
  afterEach(() => expect(visitor.complaints.splice(0)).toEqual([]));
  afterAll(() => visitor?.page.context().close());

  test('loading says how many bytes of how many are there; a reload in the middle begins anew', async () => {
    const { size } = await stat(fileURLToPath(new URL('../../.cache/site/vgg16.onnx.gz', import.meta.url)));
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
    let pieces = 0;
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    // Ten megabytes, and no more until the test has looked.
    const slow = await serveFolder(folder, {
      isolated: true,
      slow: { ending: '.gz', next: () => (++pieces > 10 ? released : Promise.resolve()) },
    });
    const { page, complaints } = await visit(browser, `${slow.url}?backend=wasm&model=vgg16`);
    const status = page.locator('.status-text');
    const expectHalfway = async () => {
      await eventually(() => status.innerText()).toMatch(/^Loading the model: [\d.]+ MB of/);
      const [loaded, total] = (await status.innerText()).match(/[\d.]+(?= MB)/g)!;
      expect(Number(loaded)).toBeGreaterThan(0);
      expect(Number(loaded)).toBeLessThanOrEqual(10.5);
      expect(total).toBe(megabytes(size));
      const widthOf = () => page.locator('.meter > div').evaluate((bar) => bar.getBoundingClientRect().width);
      // The bar follows the number.
      await eventually(widthOf).toBeGreaterThan(0);
      expect(await widthOf()).toBeLessThan(1360 / 2);
    };
    await expectHalfway();
    pieces = 0;
    await page.reload();
    await expectHalfway();
    release();
    await page.locator('.verdict').waitFor();
    expect(await page.locator('.model-menu').locator('option:checked').innerText()).toBe(
      `VGG16, 8 bits · ${megabytes(size)} MB`,
    );
    expect(await page.locator('.meter > div').count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
    await slow.close();
  });

  test('the first answer takes a third of a megabyte, and waits for no file once the model is there', async () => {
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    const held = await serveFolder(folder, { isolated: true, slow: { ending: '.gz', next: () => released } });
    const { page } = await visit(browser, 'about:blank');
    const files: string[] = [];
    page.on('request', (request) => {
      if (request.url().startsWith(held.url)) files.push(request.url().slice(held.url.length));
    });
    await page.goto(`${held.url}?backend=wasm`);
    // The backend's files come while the model does: the line is never idle.
    for (const name of [/\/(simd|relaxed)/, /\/wasm-/]) {
      await eventually(() => files.some((file) => name.test(file))).toBe(true);
    }
    const before = [...new Set(files)];
    release();
    await page.locator('.verdict').waitFor();
    // The rows of the gallery come behind it.
    const all = [...new Set(files)].filter((file) => !file.includes('/row-') && file !== 'icon.svg');
    expect(all.filter((file) => !before.includes(file))).toEqual([]);
    const sizes = await Promise.all(
      all.map(async (file) => {
        const bytes = await readFile(`${folder}/${file.replace(/\?.*/, '') || 'index.html'}`);
        return /\.(gz|woff2)$/.test(file) ? bytes.length : gzipSync(bytes, { level: 9 }).length;
      }),
    );
    const sum = sizes.reduce((total, size) => total + size, 0);
    // At 1.6 Mb/s, 1.7 seconds; `npm run bench:page` measures how long it takes.
    expect(sum).toBeLessThan(345_000);
    expect(all.length).toBeLessThanOrEqual(15);
    await page.context().close();
    await held.close();
  });

  test.each([
    { device: 'desktop', viewport: { width: 1440, height: 900 } },
    { device: 'phone', viewport: { width: 390, height: 844 } },
  ])('loading moves nothing on the page, $device', async ({ viewport }) => {
    const fresh = await visit(browser, 'about:blank', { viewport });
    await watchShifts(fresh.page);
    await fresh.page.goto(`${host.url}?backend=wasm`);
    await fresh.page.locator('.verdict').waitFor();
    expect(await shiftsOf(fresh.page)).toEqual([]);
    await fresh.page.context().close();
  });

  test('no task of the page takes 100 ms, and nothing jumps, through all that it does', async () => {
    const { page } = await visit(browser, 'about:blank');
    await watchShifts(page);
    const trace = await traceTasks(browser, page);
    await page.goto(`${host.url}?backend=wasm`);
    await page.locator('.verdict').waitFor();
    await trace.phase('load');
    await page.getByRole('option', { name: /test picture 5$/ }).click();
    await answerTo(page, 'Test picture 5');
    await trace.phase('classify');
    await openView(page, 'Test set');
    await page.getByRole('button', { name: 'Classify all 1,000' }).click();
    await page.getByText(/^Done: /).waitFor();
    await trace.phase('classify all');
    await openView(page, 'Inside');
    const layers = page.getByRole('group', { name: 'Layers' }).getByRole('button', { name: /Conv 3×3/ });
    for (const layer of [0, 3, 15]) {
      await layers.nth(layer).click();
      await page.locator('.histogram svg').nth(1).waitFor();
    }
    await trace.phase('inside');
    await openView(page, 'Verify');
    await page.getByRole('button', { name: /^Compare/ }).click();
    await page.locator('.outcome', { hasText: 'Equal' }).filter({ hasText: 'Test picture 5' }).waitFor();
    await trace.phase('verify');
    await openView(page, 'Bits');
    await page.getByRole('button', { name: /^Load the float model/ }).click();
    await page.getByRole('button', { name: /^8-bit weights, 8-bit activations: .*tried here/ }).waitFor();
    await page
      .getByRole('img', { name: /Histogram of the float weights/ })
      .locator('svg')
      .waitFor();
    await trace.phase('bits');
    expect(await trace.tasksOver(100)).toEqual([]);
    expect(await shiftsOf(page)).toEqual([]);
    await page.context().close();
  }, 300_000);

  test('a dropped and a pasted file are classified like the same picture of the gallery', async () => {
    const { page } = visitor;
    const expected = await referenceAnswer(21);
    const png = await encodePng(sheet.pictures[21]);
    await give(page, 'drop', 'dropped.png', 'image/png', png);
    expect(await answerTo(page, 'dropped.png')).toEqual({ title: 'dropped.png', ...expected });
    await give(page, 'paste', 'pasted.png', 'image/png', png);
    expect(await answerTo(page, 'pasted.png')).toEqual({ title: 'pasted.png', ...expected });
  });

  test('a chosen file and the camera are classified', async () => {
    const { page } = visitor;
    const wide = await encodePng(sheet.pictures[3]);
    await page
      .getByLabel('Picture file')
      .setInputFiles({ name: 'chosen.png', mimeType: 'image/png', buffer: wide });
    await answerTo(page, 'chosen.png');
    await page.getByRole('button', { name: 'Camera', exact: true }).click();
    await answerTo(page, 'Camera');
    await page.getByRole('button', { name: 'Stop camera' }).click();
  });

  test('camera frames are skipped, never queued, where the network is slower than the camera', async () => {
    const { page } = await visit(browser, 'about:blank');
    await page.addInitScript(() => {
      const seen = { waiting: 0, mostWaiting: 0, answered: 0, frames: 0 };
      Object.assign(window, { seen });
      const asked = new Set<string>();
      const post = Reflect.get(Worker.prototype, 'postMessage') as (
        this: Worker,
        ...values: unknown[]
      ) => void;
      const listening = new WeakSet<Worker>();
      Worker.prototype.postMessage = function (this: Worker, ...values: unknown[]) {
        const { id, path } = values[0] as { id: string; path?: string[] };
        if (!listening.has(this)) {
          listening.add(this);
          this.addEventListener('message', ({ data }: MessageEvent<{ id: string }>) => {
            if (!asked.delete(data.id)) return;
            seen.waiting--;
            seen.answered++;
          });
        }
        if (path?.[0] === 'classify') {
          asked.add(id);
          seen.mostWaiting = Math.max(seen.mostWaiting, ++seen.waiting);
        }
        post.apply(this, values);
      };
      const draw = window.createImageBitmap.bind(window) as (...values: unknown[]) => Promise<ImageBitmap>;
      Object.assign(window, {
        createImageBitmap: (...values: unknown[]) => {
          if (values[0] instanceof HTMLVideoElement) seen.frames++;
          return draw(...values);
        },
      });
    });
    await page.goto(`${host.url}?backend=reference`);
    await page.locator('.verdict').waitFor();
    const seen = () =>
      page.evaluate(
        () => (window as unknown as { seen: { answered: number; mostWaiting: number; frames: number } }).seen,
      );
    const { answered } = await seen();
    await page.getByRole('button', { name: 'Camera', exact: true }).click();
    await eventually(async () => (await seen()).answered).toBeGreaterThanOrEqual(answered + 3);
    await page.getByRole('button', { name: 'Stop camera' }).click();
    const after = await seen();
    expect(after.mostWaiting).toBe(1);
    expect(after.frames).toBeGreaterThan(after.answered - answered);
    await page.context().close();
  });

  test('files that are none say so, and the page goes on', async () => {
    const { page } = visitor;
    const alert = page.getByRole('alert');
    const cases = [
      {
        name: 'notes.txt',
        bytes: Buffer.from('These are notes, not a picture.'),
        says: /notes\.txt is a text file/,
      },
      {
        name: 'huge.png',
        bytes: hollowPng(10_000, 10_000),
        says: /huge\.png has 10000×10000 pixels \(100 megapixels\)/,
      },
      { name: 'broken.onnx', bytes: Buffer.from('\x08\x07not a model at all'), says: /broken\.onnx: / },
    ];
    for (const { name, bytes, says } of cases) {
      await give(page, 'drop', name, '', bytes);
      await eventually(() => alert.innerText()).toMatch(says);
      // A notice that is pointed at stays.
      await alert.locator('.notice').hover();
      if (name === 'notes.txt') await expectAccessible(page);
      if (name === 'huge.png') await page.keyboard.press('Escape');
      else await page.getByRole('button', { name: 'Dismiss' }).click();
      expect(await alert.innerText()).toBe('');
    }
    await openView(page, 'Gallery');
    await page.getByRole('option', { name: /test picture 12$/ }).click();
    expect(await answerTo(page, 'Test picture 12')).toEqual({
      title: 'Test picture 12',
      ...(await referenceAnswer(11)),
    });
  });

  test('the gallery filters, shuffles, and is moved through by keyboard', async () => {
    const { page } = visitor;
    await openView(page, 'Gallery');
    await page.getByRole('button', { name: 'frog' }).click();
    const names = () =>
      page
        .getByRole('listbox')
        .getByRole('option')
        .evaluateAll((all) => all.map((element) => element.ariaLabel ?? ''));
    await eventually(async () => (await names()).every((name) => name.startsWith('frog'))).toBe(true);
    const before = await names();
    await page.getByRole('button', { name: 'Shuffle' }).click();
    await eventually(names).not.toEqual(before);
    const [, second] = await names();
    await page.getByRole('listbox').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    const title = second.replace(/^.*, t/, 'T');
    expect((await answerTo(page, title)).title).toBe(title);
  });

  test('the float model beside it: fetched when asked for, its size said before, both answers and times', async () => {
    const { page } = visitor;
    const fetched = () =>
      page.evaluate(
        () => performance.getEntriesByType('resource').filter(({ name }) => /lab|worker/.test(name)).length,
      );
    const before = await fetched();
    await give(page, 'drop', 'both.png', 'image/png', await encodePng(sheet.pictures[4]));
    const int8 = await answerTo(page, 'both.png');
    expect(await page.locator('.float').innerText()).toMatch(/^Float model beside it\s+\d+\.\d MB$/);
    await page.getByRole('switch', { name: /Float model/ }).check();
    const float = page.getByRole('list', { name: 'The float model’s classes' }).getByRole('listitem');
    await eventually(() => float.count()).toBe(5);
    expect(await fetched()).toBeGreaterThan(before);
    expect(await float.first().innerText()).toContain(int8.labels[0]);
    const probability = Number(await float.first().locator('data').getAttribute('value'));
    expect(probability).toBeCloseTo(Math.max(...(await floatAnswer(4))), 4);
    expect(probability).not.toBe(int8.probabilities[0]);
    expect(await page.locator('.float > p').innerText()).toMatch(
      /^Same answer; probabilities differ by at most \d\.\d points\. Float took [\d.]+ m?s .*; int8 [\d.]+ m?s\.$/,
    );
  });

  test('all 1,000: cancelled, then to the end, the pictures behind a cell, and where float differs', async () => {
    const { page } = visitor;
    // The slowest of the page's models, so that there is time to cancel.
    await chooseModel(page, 'vgg16');
    await openView(page, 'Test set');
    const saved = await page.getByRole('grid').getByRole('gridcell').allInnerTexts();
    const done = async () =>
      Number(/([\d,]+) of/.exec(await page.locator('.figures').first().innerText())![1].replace(',', ''));
    await page.getByLabel('Batch').selectOption('16');
    await page.getByRole('button', { name: 'Classify all 1,000' }).click();
    await page.getByRole('main').getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Classify all 1,000' }).waitFor();
    expect(await done()).toBeLessThan(1000);

    await page.getByRole('button', { name: 'Classify all 1,000' }).click();
    await eventually(done).toBe(1000);
    // What was shown before it ran is what it says.
    expect(await page.getByRole('grid').getByRole('gridcell').allInnerTexts()).toEqual(saved);
    const cells = page.getByRole('grid').getByRole('gridcell');
    const counts = (await cells.allInnerTexts()).map(Number);
    expect(counts.length).toBe(100);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(1000);
    const right = counts.reduce((sum, count, cell) => (cell % 11 === 0 ? sum + count : sum), 0);
    expect(await page.locator('.figures').first().innerText()).toContain(`${(right / 10).toFixed(1)} %`);
    expect(right).toBeGreaterThan(850);

    const wrong = counts.findIndex((count, cell) => cell % 11 !== 0 && count > 1);
    await cells.nth(wrong).click();
    const options = page.getByRole('listbox').getByRole('option');
    expect(await options.first().getAttribute('aria-setsize')).toBe(String(counts[wrong]));
    const trueClass = sheet.classes[Math.floor(wrong / 10)];
    expect(await options.first().getAttribute('aria-label')).toContain(trueClass);
    await cells.nth(5).hover();
    expect(await page.locator('.confusion-note').innerText()).toMatch(
      /^airplane taken for dog: \d+ pictures?$/,
    );

    // The same by keyboard.
    await cells.nth(0).focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    expect(await options.first().getAttribute('aria-setsize')).toBe(String(counts[11]));
    await expectAccessible(page);

    await chooseModel(page, 'resnet20-w4');
    await page.getByRole('button', { name: /^Run the float model/ }).click();
    const figures = page.getByRole('region', { name: 'Against the float model' }).locator('.figures');
    await eventually(() => figures.count()).toBe(1);
    await page
      .getByRole('region', { name: 'Against the float model' })
      .getByRole('button', { name: 'Cancel' })
      .click();
    await page.getByRole('button', { name: 'Run the float model' }).waitFor();
    const [accuracy, agreement] = (await figures.innerText()).match(/[\d.]+(?= %)/g)!.map(Number);
    expect(accuracy).toBeGreaterThan(50);
    expect(agreement).toBeGreaterThan(90);
  }, 200_000);

  test('inside: activations, histograms, times', async () => {
    const { page } = visitor;
    await openView(page, 'Inside');
    const layers = page.getByRole('group', { name: 'Layers' }).getByRole('button');
    await eventually(() => layers.locator('canvas').count()).toBe(await layers.count());
    await layers.nth(3).click();
    await eventually(() => page.locator('.histogram svg').count()).toBe(2);
    await page.getByRole('button', { name: 'Measure each layer' }).click();
    await page.getByRole('button', { name: 'Measure again' }).waitFor();
    const times = await page.locator('table.layers tbody tr td:nth-child(5)').allInnerTexts();
    expect(times.length).toBe(await layers.count());
    for (const time of times) expect(time).toMatch(/ms$/);
    // One byte, step by step: the arithmetic of the explanation is its own, and comes to what the run stored.
    for (const layer of [1, 2, (await layers.count()) - 1]) {
      await layers.nth(layer).click();
      await page.getByRole('button', { name: 'How does one of these bytes come about?' }).click();
      const steps = page.locator('.conv-steps');
      await eventually(() => steps.innerText()).toMatch(/the run has −?[\d,]+ here, the same\./);
    }
    await expectAccessible(page);
    // After a ReLU many integers are zero, and zero has the page's own colour.
    await layers.nth(1).click();
    const colours = await page.locator('.detail-picture canvas').evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      const counts = new Map<string, number>();
      for (let at = 0; at < data.length; at += 4) {
        const colour = data.slice(at, at + 4).join();
        counts.set(colour, (counts.get(colour) ?? 0) + 1);
      }
      return [...counts.keys()];
    });
    expect(colours).toContain('255,255,255,255');
  }, 200_000);

  test('fewer bits, until it breaks', async () => {
    const { page } = visitor;
    await openView(page, 'Bits');
    const shown = async () =>
      Number((await page.locator('.big-figure strong').innerText()).replace(/\D/g, ''));
    // The measured table is there at once.
    const known = () => page.locator('.bits-map .known').count();
    expect(await known()).toBe(36);
    expect(await page.locator('.big-figure').innerText()).toMatch(/92\.5 %\s+right, of 1,000/);
    // Another view may have loaded it.
    const load = page.getByRole('button', { name: /^Load the float model/ });
    if (await load.isVisible()) await load.click();
    else await page.getByRole('button', { name: /^8-bit weights, 8-bit activations/ }).click();
    await page.getByRole('button', { name: /^8-bit weights, 8-bit activations: .*tried here/ }).waitFor();
    expect(await shown()).toBeGreaterThan(80);
    await page.getByRole('slider', { name: 'Weights' }).fill('0');
    const tried = (name: RegExp) => eventually(() => page.getByRole('button', { name }).count()).toBe(1);
    await tried(/^2-bit weights, 8-bit activations: .*tried here/);
    expect(await shown()).toBeLessThan(80);
    expect(page.url()).toContain('bits=2/8');

    // Two bits leave −1, 0 and 1, times a scale that each channel has for itself.
    const chart = page.getByRole('img', { name: /Histogram of the float weights/ });
    const levels = () => chart.locator('g[aria-label="rule"]').first().locator('line').count();
    await eventually(levels).toBe(3);
    const step = async () => /one step is [\d.e-]+/.exec(await page.locator('.readout').innerText())?.[0];
    const first = await step();
    await page.getByRole('slider', { name: 'Channel 0' }).fill('1');
    await eventually(step).not.toBe(first);
    await expectAccessible(page);

    // Rounded by what the layers compute, two bits keep more; halfway through, that can be given up.
    const nearest = await shown();
    const check = page.getByRole('switch', { name: /by what each layer computes/ });
    await check.check();
    await eventually(() => page.locator('.run-line [role=status]').innerText()).toMatch(
      /rounding layer \d+ of \d+/,
    );
    await page.getByRole('main').getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Fill the map' }).waitFor();
    expect(await page.locator('.big-figure strong').innerText()).toBe('–');
    await page.getByRole('button', { name: /^2-bit weights, 8-bit activations/ }).click();
    await tried(/^2-bit weights, 8-bit activations: .*tried here/);
    expect(await shown()).toBeGreaterThan(nearest + 20);
    await check.uncheck();
    await eventually(shown).toBe(nearest);

    // Cancelled, the map stays as it is: not only the pair at hand is given up.
    const here = () => page.locator('.bits-map .here').count();
    const before = await here();
    await page.getByRole('button', { name: 'Fill the map' }).click();
    await eventually(here).toBe(before + 1);
    await page.getByRole('main').getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Fill the map' }).waitFor();
    const cancelled = await here();
    // Whatever still ran would be heard before the answer to a later question.
    await page.getByRole('button', { name: /^2-bit weights, 3-bit activations/ }).click();
    await tried(/^2-bit weights, 3-bit activations: .*tried here/);
    expect(await here()).toBe(cancelled + 1);
  }, 300_000);

  test('the benchmark measures what is ticked, and its answers, and hands out the numbers', async () => {
    const { page } = visitor;
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await openView(page, 'Benchmark');
    const engines = page.getByRole('group', { name: /^On the / }).getByRole('checkbox');
    for (const engine of await engines.all()) await engine.uncheck();
    const chosen = [
      /^Octet WASM, \d+ threads?, int8$/,
      /^onnxruntime-web WASM, \d+ threads?, int8 QDQ$/,
      /^TensorFlow\.js WASM/,
    ];
    for (const name of chosen) await page.getByRole('checkbox', { name }).last().check();
    await page.getByRole('button', { name: 'Run the benchmark' }).click();
    await page.getByText('Done.').waitFor({ timeout: 240_000 });
    const rows = await page
      .getByRole('region', { name: 'Results', exact: true })
      .locator('tbody tr')
      .allInnerTexts();
    expect(rows).toHaveLength(chosen.length);
    rows.forEach((row, index) => {
      const [label, , , ...batches] = row.split('\t');
      expect(label.trim()).toMatch(chosen[index]);
      expect(batches.pop()).toMatch(/^(19|20) of 20$/);
      for (const batch of batches) expect(batch.trim()).toMatch(/^[\d.]+ \([\d.]+–[\d.]+\)$/);
    });

    const copied = async (name: string) => {
      await page.getByRole('button', { name }).click();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    const json = JSON.parse(await copied('Copy as JSON')) as { results: { contender: { label: string } }[] };
    expect(json.results.map(({ contender }) => contender.label)).toEqual(
      rows.map((row) => row.split('\t')[0].trim()),
    );
    const markdown = await copied('Copy as Markdown');
    for (const { contender } of json.results) expect(markdown).toContain(`| ${contender.label} |`);
    await expectAccessible(page);
  }, 300_000);

  test('another backend in the middle of a run ends the run, and says nothing of disposal', async () => {
    const { page } = visitor;
    await openView(page, 'Test set');
    await page.getByLabel('Batch').selectOption('1');
    await page.getByRole('button', { name: 'Classify all 1,000' }).click();
    await page.getByRole('main').getByRole('button', { name: 'Cancel' }).waitFor();
    await page.getByLabel('Run on').selectOption('reference');
    await eventually(() => page.locator('.status-text').innerText()).toContain('reference');
    await page.getByRole('button', { name: 'Classify all 1,000' }).waitFor();
    // What the other backend said is not this one's.
    expect(await page.locator('.figures').first().innerText()).toContain('saved');
    await page.locator('.verdict').waitFor();
    expect(await page.getByRole('alert').innerText()).toBe('');
    await page.getByLabel('Run on').selectOption('wasm');
    await eventually(() => page.locator('.status-text').innerText()).toContain('WebAssembly');
  });

  test('a visitor’s own model: other classes are neither right nor wrong; a broken one leaves it in use', async () => {
    const { page } = visitor;
    await openView(page, 'Gallery');
    const option = page.getByRole('listbox').getByRole('option').first();
    await option.click();
    const title = (await option.getAttribute('aria-label'))!.replace(/^.*, t/, 'T');
    const bytes = [smallModel(), Buffer.from('\x08\x07not a model at all')];
    // Both at once: the second is asked for while the first still loads.
    await page.evaluate(
      (files) => {
        for (const [index, base64] of files.entries()) {
          const transfer = new DataTransfer();
          const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
          transfer.items.add(new File([content], `${['small', 'broken'][index]}.onnx`));
          document
            .querySelector('h1')!
            .dispatchEvent(
              new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }),
            );
        }
      },
      bytes.map((file) => Buffer.from(file).toString('base64')),
    );
    await eventually(() => page.getByRole('alert').innerText()).toMatch(/^broken\.onnx: /);
    await page.getByRole('button', { name: 'Dismiss' }).click();
    const menu = page.locator('.model-menu').locator('option:checked');
    expect(await menu.innerText()).toContain('ResNet-20');
    await answerTo(page, title);

    await give(page, 'drop', 'small.onnx', '', bytes[0]);
    await eventually(() => page.locator('.status-text').innerText()).toMatch(/^On /);
    expect(await menu.innerText()).toBe('small.onnx');
    const { labels } = await answerTo(page, title);
    expect([...labels].sort()).toEqual(['class 0', 'class 1', 'class 2']);
    expect(await page.locator('.verdict').innerText()).not.toMatch(/correct|labelled/);
    expect(await page.getByRole('switch', { name: /Float model/ }).count()).toBe(0);
    await openView(page, 'Inside');
    await eventually(() => page.locator('.histogram svg').count()).toBe(2);
    await openView(page, 'Test set');
    expect(await page.getByRole('button', { name: 'Classify all 1,000' }).isDisabled()).toBe(true);
    await chooseModel(page, 'resnet20-w4');
    await openView(page, 'Gallery');
    await eventually(() => page.locator('.verdict').innerText()).toMatch(/correct|labelled/);
  });

  test('octet open: the page with a model of one’s own in every view', async () => {
    const file = modelFile('faces-refinement.int8.onnx');
    const command = ['--import', 'tsx', '--conditions=octet:source', main, 'open', file, '--site', folder];
    const server = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const line = await new Promise<string>((resolve) =>
        server.stdout.setEncoding('utf8').once('data', resolve),
      );
      const opened = await visit(browser, /http:\S+/.exec(line)![0]);
      const { page } = opened;
      await eventually(() => page.locator('.status-text').innerText()).toMatch(/^On /);
      const menu = page.locator('.model-menu').locator('option:checked');
      expect(await menu.innerText()).toBe('faces-refinement.int8.onnx');
      await openView(page, 'Inside');
      await eventually(() => page.locator('.histogram svg').count()).toBe(2);
      expect(opened.complaints).toEqual([]);
      await page.context().close();
    } finally {
      server.kill('SIGINT');
    }
  });

  test('a float model of one’s own: what becomes of it, quantized in the page, in every view, and back', async () => {
    const { page } = visitor;
    const requests: string[] = [];
    const note = (request: { method(): string; url(): string }) =>
      requests.push(`${request.method()} ${request.url()}`);
    page.on('request', note);
    // Exported by PyTorch, of random weights: nobody here trained it.
    const ownFloat = new URL('../interop/fixtures/float/dynamo-opset18.preact.onnx', import.meta.url);
    const file = await readFile(ownFloat);
    await give(page, 'drop', 'preact.onnx', '', file);
    await page.getByRole('heading', { level: 2, name: 'preact.onnx' }).waitFor();
    const nodes = page.getByRole('region', { name: 'Nodes of the model' }).locator('tbody tr');
    expect(await nodes.count()).toBeGreaterThan(5);
    expect(new Set(await nodes.locator('td:last-child').allInnerTexts())).toEqual(new Set(['integers']));
    await page.getByLabel('Pictures to quantize on').setInputFiles(
      await Promise.all(
        sheet.pictures.slice(0, 12).map(async (picture, index) => ({
          name: `own-${index}.png`,
          mimeType: 'image/png',
          buffer: await encodePng(picture),
        })),
      ),
    );
    await page.getByRole('button', { name: 'Show own-11.png' }).waitFor();
    await page.getByRole('button', { name: 'Quantize', exact: true }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download the int8 model' }).click();
    await expectAccessible(page);
    const result = page.getByRole('region', { name: 'The int8 model' });
    const [, same] = /Same answer as float\s+(\d+) of 12/.exec(await result.innerText())!;
    expect(Number(same)).toBeGreaterThanOrEqual(10);
    const saved = await (await download).path();
    // Made by Node on the same PNG files, it has the same bytes.
    const float = decodeModel(file);
    const graph = { ...float, metadata: new Map([...float.metadata, ...imagenet]) };
    const made = await quantize(graph, imageBatches(graph, sheet.pictures.slice(0, 12), { batch: 8 }));
    expect(Buffer.compare(await readFile(saved), encodeModel(made.graph))).toBe(0);
    // What each node became, and what rounding lost: every number is that of the command on the same files.
    const written = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download the report' }).click();
    const report = await readFile(await (await written).path(), 'utf8');
    const folderOfPictures = await mkdtemp(join(tmpdir(), 'octet-report-'));
    const inspected = join(folderOfPictures, 'report.html');
    const int8 = join(folderOfPictures, 'preact.int8.onnx');
    await copyFile(saved, int8);
    const pngs = await Promise.all(
      sheet.pictures.slice(0, 12).map(async (picture, index) => {
        const png = join(folderOfPictures, `own-${index}.png`);
        await writeFile(png, await encodePng(picture));
        return png;
      }),
    );
    const command = ['--import', 'tsx', '--conditions=octet:source', main, 'inspect', int8];
    const options = [
      '--float',
      fileURLToPath(ownFloat),
      '--target',
      'wasm',
      '--html',
      inspected,
      '--images',
      ...pngs,
    ];
    await promisify(execFile)(process.execPath, [...command, ...options]);
    const numbersOf = (html: string) =>
      JSON.parse(/<script id="data" type="application\/json">(.*)<\/script>/.exec(html)![1]) as {
        readonly inspection: { readonly accuracy: { readonly values: readonly unknown[] } };
        readonly pictures: readonly unknown[];
      };
    const here = numbersOf(await readFile(inspected, 'utf8'));
    expect(here.inspection.accuracy.values.length).toBeGreaterThan(5);
    // The page keeps what the model sees of a picture, and shows that.
    const there = numbersOf(report);
    expect(there.pictures.length).toBe(12);
    expect({ ...there, pictures: [] }).toEqual({ ...here, pictures: [] });
    await rm(folderOfPictures, { recursive: true });
    // The file is a model, with the bytes of the page's answers.
    using model = await loadModel(saved, { backend: 'reference' });
    await page.getByRole('button', { name: 'Show own-3.png' }).click();
    const { labels, probabilities } = await answerTo(page, 'own-3.png');
    const { predictions } = await model.classify(sheet.pictures[3], { topK: 5 });
    expect(probabilities).toEqual(predictions.map(({ probability }) => significant(probability)));
    expect(labels).toEqual(predictions.map(({ label }) => `class ${label}`));
    // The gallery has the same pictures, each with its answer.
    await openView(page, 'Gallery');
    await page.getByRole('heading', { name: 'What preact.int8.onnx says' }).waitFor();
    const tiles = page.locator('.own-tile');
    await eventually(async () => (await tiles.allInnerTexts()).join(' ')).toMatch(
      /^(\s*class \d+ \d+ %){12}$/,
    );
    expect(await tiles.nth(3).innerText()).toContain(labels[0]);
    await tiles.nth(5).click();
    expect((await answerTo(page, 'own-5.png')).labels[0]).toBe(
      /class \d+/.exec(await tiles.nth(5).innerText())![0],
    );
    await expectAccessible(page);
    // Every view is about it, and the menu leads back.
    const menu = page.locator('.model-menu');
    expect(await menu.locator('option:checked').innerText()).toBe('preact.int8.onnx');
    await openView(page, 'Bits');
    await page.getByRole('button', { name: /^4-bit weights, 8-bit activations/ }).click();
    await page.getByRole('button', { name: /^4-bit weights, 8-bit activations: .*tried here/ }).waitFor();
    expect(await page.locator('.big-figure').innerText()).toContain('of 12');
    await openView(page, 'Test set');
    expect(await page.getByRole('button', { name: 'Classify all 1,000' }).isDisabled()).toBe(true);
    await chooseModel(page, 'resnet20-w4');
    await openView(page, 'Gallery');
    await page.getByRole('listbox').getByRole('option').first().click();
    await eventually(() => page.locator('.verdict').innerText()).toMatch(/correct|labelled/);
    page.off('request', note);
    // Nothing was uploaded.
    expect(requests.filter((request) => !request.startsWith('GET '))).toEqual([]);
  });

  test('photographs have a model of their own', async () => {
    const { page } = visitor;
    await openView(page, 'Gallery');
    await page.getByRole('button', { name: /^For photographs .* 1,000 classes \(5\.0 MB\)$/ }).click();
    await eventually(() => page.locator('.model-menu option:checked').innerText()).toContain('EfficientNet');
    await eventually(() => page.locator('.status-text').innerText()).toMatch(/^On /);
    await give(page, 'drop', 'photo.png', 'image/png', await encodePng(sheet.pictures[21]));
    const shown = await answerTo(page, 'photo.png');
    using model = await loadModel(modelFile('efficientnet-lite0.int8.onnx'), { backend: 'wasm' });
    const { predictions } = await model.classify(sheet.pictures[21], { topK: 5 });
    expect(shown.labels).toEqual(predictions.map(({ label }) => label));
    expect(shown.probabilities).toEqual(predictions.map(({ probability }) => significant(probability)));
    expect(await page.locator('.verdict').innerText()).not.toMatch(/correct|labelled/);
    // Until the other model loads, the status is this one's.
    const status = await page.locator('.status-text').innerText();
    await page.locator('.model-menu').selectOption('resnet20-w4');
    await eventually(() => page.locator('.status-text').innerText()).not.toBe(status);
    await eventually(() => page.locator('.status-text').innerText()).toMatch(/^On /);
  });

  test('another backend, and the one before', async () => {
    const { page } = visitor;
    const downloads: string[] = [];
    page.on('request', (request) => {
      // Quantized models only: the float model beside the answer may still be on its way.
      if (request.url().endsWith('.gz')) downloads.push(request.url());
    });
    await page.getByLabel('Run on').selectOption('reference');
    await eventually(() => page.locator('.status-text').innerText()).toContain('reference');
    await page.getByLabel('Run on').selectOption('wasm');
    await eventually(() => page.locator('.status-text').innerText()).toContain('WebAssembly');
    // The file is kept: it needs no second download, nor a network.
    expect(downloads).toEqual([]);
  });

  test('it goes on without a network', async () => {
    const { page } = visitor;
    const own = await serveFolder(folder, { isolated: false });
    await page.goto(`${own.url}?backend=wasm`);
    await page.locator('.verdict').waitFor();
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
    // The rest of the gallery, and the other views, come after the first answer.
    await page.waitForLoadState('networkidle');
    await own.close();
    await page.reload();
    await page.locator('.verdict').waitFor();
    // The service worker sends the headers that this host does not: threads, from the second visit on.
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  });
});

describe('for everyone', () => {
  test('the Tab key reaches every control of every view, and shows where it is', async () => {
    const { page } = await visit(browser, `${host.url}?backend=wasm`);
    await page.locator('.verdict').waitFor();
    for (const view of VIEWS) {
      await openView(page, view);
      const { wanted, reached, unmarked } = await tabThrough(page);
      expect(
        wanted.filter((name) => !reached.includes(name)),
        view,
      ).toEqual([]);
      expect(unmarked, view).toEqual([]);
    }
    await page.context().close();
  });

  test('nothing is wider than a phone', async () => {
    const { page, complaints } = await visit(browser, `${host.url}?backend=wasm`, {
      viewport: { width: 390, height: 844 },
    });
    await page.locator('.verdict').waitFor();
    for (const view of VIEWS) {
      await openView(page, view);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), view).toBe(390);
      if (view !== 'Inside') continue;
      await page.getByRole('group', { name: 'Layers' }).getByRole('button').nth(1).click();
      await page.getByRole('button', { name: 'How does one of these bytes come about?' }).click();
      const panel = page.locator('.convolution');
      await panel.locator('.conv-steps').waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), 'the panel').toBe(390);
      expect(await panel.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
    }
    await page.context().close();
    expect(complaints).toEqual([]);
  });

  test('without WebGPU it says why and what to do, and runs on the CPU', async () => {
    const plain = await launchChromium([]);
    try {
      const { page, complaints } = await visit(plain, host.url);
      await page.locator('.verdict').waitFor();
      expect(await page.evaluate(async () => await navigator.gpu?.requestAdapter())).toBeFalsy();
      await page.getByText('Why not the GPU?').click();
      expect(await page.locator('.why').innerText()).toMatch(/because[\s\S]*Chrome or Edge/);
      await page.getByRole('heading', { level: 2 }).click();
      expect(await page.locator('.why').innerText()).not.toMatch(/Chrome or Edge/);
      await page.getByRole('option', { name: /test picture 5$/ }).click();
      expect(await answerTo(page, 'Test picture 5')).toEqual({
        title: 'Test picture 5',
        ...(await referenceAnswer(4)),
      });
      await page.getByLabel('Run on').selectOption('webgpu');
      await eventually(() => page.getByRole('alert').innerText()).toMatch(/WebGPU|adapter/);
      expect(await page.locator('.status-text').innerText()).toContain('the CPU');
      // Chromium's own remark on a request that is answered with null; pages cannot silence it.
      expect(complaints.filter((complaint) => complaint !== 'No available adapters.')).toEqual([]);
    } finally {
      await plain.close();
    }
  });
});
