/** The demo as its visitors use it: the built site in headless Chromium, from a plain host and a subfolder. */
import { deflateSync } from 'node:zlib';
import { AxeBuilder } from '@axe-core/playwright';
import type { Browser, Page } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadModel, type Sheet } from '../../src/index.ts';
import { flagship } from '../../scripts/quantize-flagship.ts';
import { launchChromium, webgpuFlags } from '../support/chromium.ts';
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
import { serveFolder, type StaticServer } from './static-server.ts';

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

/** What the reference backend says, in Node. */
async function referenceAnswer(index: number): Promise<{ labels: string[]; probabilities: number[] }> {
  using model = await loadModel(flagship, { backend: 'reference' });
  const { predictions } = await model.classify(sheet.pictures[index], { topK: 5 });
  return {
    labels: predictions.map(({ label }) => label),
    probabilities: predictions.map(({ probability }) => significant(probability)),
  };
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

function serious(violations: Awaited<ReturnType<AxeBuilder['analyze']>>['violations']): string[] {
  return violations.map(
    ({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ html }) => html).join(' ')})`,
  );
}

const VIEWS = ['Gallery', 'Test set', 'Inside', 'Bits', 'Verify', 'Benchmark'];

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
    await eventually(() => page.locator('.outcome').innerText()).toMatch(/^Equal/);
    const results = await page
      .getByRole('region', { name: 'Tensors compared' })
      .locator('td:last-child')
      .allInnerTexts();
    expect(results.length).toBeGreaterThanOrEqual(15);
    expect(new Set(results)).toEqual(new Set(['equal']));
    expect(await page.locator('.facts').innerText()).toMatch(/swiftshader/i);
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

  test('loading moves nothing on the page', async () => {
    const fresh = await visit(browser, 'about:blank');
    await fresh.page.addInitScript(() => {
      const shifts: number[] = [];
      Object.assign(window, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries())
          shifts.push((entry as PerformanceEntry & { value: number }).value);
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await fresh.page.goto(`${host.url}?backend=wasm`);
    await fresh.page.locator('.verdict').waitFor();
    const shift = await fresh.page.evaluate(() =>
      (window as unknown as { shifts: number[] }).shifts.reduce((sum, value) => sum + value, 0),
    );
    await fresh.page.context().close();
    // "Good" ends at 0.1; this is a line or two of text that settles, on a machine that is busy with other tests.
    expect(shift).toBeLessThan(0.05);
  });

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
    await page.getByRole('button', { name: 'Camera' }).click();
    await answerTo(page, 'Camera');
    await page.getByRole('button', { name: 'Stop camera' }).click();
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
      await page.getByRole('button', { name: 'Dismiss' }).click();
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

  test('all 1,000: cancelled, then to the end, and the pictures behind a cell', async () => {
    const { page } = visitor;
    await openView(page, 'Test set');
    const done = async () =>
      Number(/([\d,]+) of/.exec(await page.locator('.figures').first().innerText())![1].replace(',', ''));
    await page.getByLabel('Batch').selectOption('16');
    await page.getByRole('button', { name: 'Classify all 1,000' }).click();
    await eventually(done).toBeGreaterThan(0);
    await page.getByRole('main').getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Classify all 1,000' }).waitFor();
    expect(await done()).toBeLessThan(1000);

    await page.getByRole('button', { name: 'Classify all 1,000' }).click();
    await eventually(done).toBe(1000);
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
  });

  test('the float model beside it, and fewer bits until it breaks', async () => {
    const { page } = visitor;
    await page.getByRole('switch', { name: /Float model/ }).check();
    const floatAnswer = page.getByRole('list', { name: 'The float model’s classes' });
    await eventually(() => floatAnswer.count()).toBe(1);
    await openView(page, 'Bits');
    const shown = async () =>
      Number((await page.locator('.big-figure strong').innerText()).replace(/\D/g, ''));
    await page.getByRole('button', { name: /^8-bit weights, 8-bit activations/ }).click();
    await eventually(shown).toBeGreaterThan(80);
    await page.getByRole('slider', { name: 'Weights' }).fill('2');
    await eventually(() =>
      page.getByRole('button', { name: /^2-bit weights, 8-bit activations: / }).count(),
    ).toBe(1);
    expect(await shown()).toBeLessThan(80);
    await eventually(() =>
      page
        .getByRole('img', { name: /Histogram of the float weights/ })
        .locator('svg')
        .count(),
    ).toBe(1);
  }, 300_000);

  test('the benchmark measures what is ticked, and its answers', async () => {
    const { page } = visitor;
    await openView(page, 'Benchmark');
    const engines = page.getByRole('group', { name: 'Engines' }).getByRole('checkbox');
    for (const engine of await engines.all()) await engine.uncheck();
    await page.getByRole('checkbox', { name: 'Octet WASM, 1 thread, int8' }).check();
    await page.getByRole('button', { name: 'Run the benchmark' }).click();
    await page.getByText('Done.').waitFor({ timeout: 120_000 });
    const [row] = await page.getByRole('region', { name: 'Results' }).locator('tbody tr').allInnerTexts();
    expect(row).toMatch(/^Octet WASM, 1 thread, int8\s+33\.8 MB\s.*20 of 20$/s);
    expect(await page.getByRole('button', { name: 'Copy as Markdown' }).isEnabled()).toBe(true);
  }, 200_000);

  test('another backend, and the one before', async () => {
    const { page } = visitor;
    await page.getByLabel('Run on').selectOption('reference');
    await eventually(() => page.locator('.status-text').innerText()).toContain('reference');
    await page.getByLabel('Run on').selectOption('wasm');
    await eventually(() => page.locator('.status-text').innerText()).toContain('WebAssembly');
  });

  test('it goes on without a network', async () => {
    const { page } = visitor;
    const own = await serveFolder(folder, { isolated: false });
    await page.goto(`${own.url}?backend=wasm`);
    await page.locator('.verdict').waitFor();
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
    });
    await own.close();
    await page.reload();
    await page.locator('.verdict').waitFor();
    // The service worker sends the headers that this host does not: threads, from the second visit on.
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  });
});

describe('for everyone', () => {
  test.each(['light', 'dark'] as const)('axe finds nothing in any view, %s', async (colorScheme) => {
    const context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    await page.goto(`${host.url}?backend=wasm`);
    await page.locator('.verdict').waitFor();
    for (const view of VIEWS) {
      await openView(page, view);
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(serious(violations), view).toEqual([]);
    }
    await context.close();
  });

  test('nothing is wider than a phone', async () => {
    const { page, complaints } = await visit(browser, `${host.url}?backend=wasm`, {
      viewport: { width: 390, height: 844 },
    });
    await page.locator('.verdict').waitFor();
    for (const view of VIEWS) {
      await openView(page, view);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), view).toBe(390);
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
      await page.getByText('Why not the GPU, and what to do').click();
      expect(await page.locator('.why').innerText()).toMatch(/chosen because[\s\S]*Chrome or Edge/);
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
