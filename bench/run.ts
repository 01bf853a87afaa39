/**
 * `npm run bench`: every engine on the same network, the same pictures and the same adapter, in one run of one browser,
 * interleaved in random order. Writes JSON, a table and a chart to bench/results/.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import type { Browser, Page } from 'playwright';
import { launchChromium } from '../test/support/chromium.ts';
import { serve } from './serve.ts';
import { loadFlagship } from './flagship.ts';
import type { Flagship } from './flagship.ts';
import { contenders as catalog } from './contenders/catalog.ts';
import type { Contender } from './contenders/contender.ts';
import { drawChart, machineContext, positiveInteger } from './context.ts';
import type { LoadMeasurement } from './page/contender.ts';
import { contextBlock, markdownTable } from './report.ts';
import type { BatchMeasurement, BenchContext, BenchResult, ContenderResult } from './result.ts';
import { seededRandom, shuffle, summarize } from './statistics.ts';

interface Options {
  readonly batches: number[];
  readonly repetitions: number;
  readonly seconds: number;
  readonly checked: number;
  readonly only?: string;
  readonly seed: number;
  readonly output: string;
}

/** An engine in its page, ready to run. */
interface Running {
  readonly contender: Contender;
  readonly page: Page;
  readonly load: LoadMeasurement;
}

/** Threads of an engine that has just run may spin a while; the next one's time must not pay for it. */
const SETTLE_MS = 60;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function base64(pixels: Uint8Array): string {
  return Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength).toString('base64');
}

async function runOnce(
  page: Page,
  pixels: Uint8Array,
  batch: number,
): Promise<{ ms: number; logits: number[] }> {
  return page.evaluate(([data, count]) => globalThis.contenderPage.run(data, count), [
    base64(pixels),
    batch,
  ] as const);
}

async function open(
  browser: Browser,
  origin: string,
  contender: Contender,
  flagship: Flagship,
): Promise<Running> {
  const page = await browser.newPage();
  await page.goto(`${origin}/bench/page/contender.html`);
  await page.waitForFunction(() => 'contenderPage' in globalThis);
  const load = await page.evaluate(
    ([row, url, preprocessing]) => globalThis.contenderPage.load(row, url, preprocessing),
    [contender, flagship.urls[contender.model], flagship.preprocessing] as const,
  );
  return { contender, page, load };
}

function argmax(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

/** Top-1 of each checked picture, one by one. */
async function predictions(page: Page, flagship: Flagship, count: number): Promise<number[]> {
  const classes: number[] = [];
  for (let i = 0; i < count; i++) {
    const { logits } = await runOnce(page, flagship.batchFrom(i, 1), 1);
    classes.push(argmax(logits));
  }
  return classes;
}

async function measureBatch(
  running: readonly Running[],
  flagship: Flagship,
  batch: number,
  { repetitions, seconds, seed }: Options,
): Promise<Map<string, BatchMeasurement>> {
  const random = seededRandom(seed + batch);
  const pixels = flagship.batchFrom(0, batch);
  const samples = new Map<string, number[]>();
  const eligible: Running[] = [];
  // Warm-up, which also tells who is too slow to repeat at this batch.
  for (const entry of running) {
    const { ms } = await runOnce(entry.page, pixels, batch);
    await sleep(SETTLE_MS);
    if (ms > seconds * 1000) continue;
    eligible.push(entry);
    samples.set(entry.contender.id, []);
  }
  const fastest = (entry: Running): number => Math.min(...samples.get(entry.contender.id)!);
  for (let round = 0; round < repetitions; round++) {
    for (const entry of shuffle([...eligible], random)) {
      // Rows of a few milliseconds need more samples than rows of seconds: up to five a round, within a tenth of a second.
      const times = round > 0 && fastest(entry) < 100 ? Math.min(5, Math.ceil(100 / fastest(entry))) : 1;
      for (let i = 0; i < times; i++)
        samples.get(entry.contender.id)!.push((await runOnce(entry.page, pixels, batch)).ms);
      await sleep(SETTLE_MS);
    }
  }
  const measurements = new Map<string, BatchMeasurement>();
  for (const { contender, page } of eligible) {
    const gpuMs =
      contender.device === 'webgpu'
        ? await page.evaluate(
            async ([data, count]) => (await globalThis.contenderPage.gpu(data, count)).gpuMs,
            [base64(pixels), batch] as const,
          )
        : null;
    measurements.set(contender.id, { batch, latencyMs: summarize(samples.get(contender.id)!), gpuMs });
  }
  return measurements;
}

async function browserContext(browser: Browser, origin: string, seed: number): Promise<BenchContext> {
  const page = await browser.newPage();
  await page.goto(`${origin}/bench/page/chart.html`);
  const adapter = await page.evaluate(async () => {
    const found = await navigator.gpu.requestAdapter();
    if (!found) return { adapter: 'none' };
    const { vendor, architecture, device, description } = found.info;
    return { vendor, architecture, device, description };
  });
  await page.close();
  return machineContext(adapter, `Chromium ${browser.version()}`, seed);
}

/** Runs the whole comparison. A contender that fails is a row that says so; Octet failing is an error. */
export async function compareEngines(options: Options, log: (line: string) => void): Promise<BenchResult> {
  const flagship = await loadFlagship();
  const server = await serve();
  const browser = await launchChromium();
  try {
    const cores = os.availableParallelism();
    const wanted = options.only?.split(',');
    const selected = catalog(cores).filter(({ id }) => !wanted || wanted.some((part) => id.includes(part)));
    if (selected.length === 0) {
      throw new Error(
        `--only ${options.only} matches none of ${catalog(cores)
          .map(({ id }) => id)
          .join(', ')}`,
      );
    }
    const context = await browserContext(browser, server.origin, options.seed);
    const running: Running[] = [];
    const failed = new Map<string, string>();
    for (const contender of selected) {
      try {
        const entry = await open(browser, server.origin, contender, flagship);
        running.push(entry);
        log(`${contender.label}: loaded in ${(entry.load.readyMs + entry.load.firstRunMs).toFixed(0)} ms`);
      } catch (error) {
        if (contender.library === 'octet') throw error;
        failed.set(contender.id, error instanceof Error ? error.message.split('\n')[0] : String(error));
        log(`${contender.label}: failed, ${failed.get(contender.id)!}`);
      }
    }

    // Octet's float source is the truth for agreement: the first float contender on WASM, else the first float one.
    const floats = running.filter(({ contender }) => contender.model === 'float');
    const judge = floats.find(({ contender }) => contender.device === 'wasm') ?? floats[0];
    const expected = judge ? await predictions(judge.page, flagship, options.checked) : [];
    const agreement = new Map<string, { same: number; of: number }>();
    for (const { contender, page } of running) {
      const actual = await predictions(page, flagship, expected.length);
      const same = actual.filter((value, index) => value === expected[index]).length;
      if (expected.length > 0) agreement.set(contender.id, { same, of: expected.length });
      // A peer that answers otherwise is not computing the same network; int8 may differ on a close call.
      if (same < expected.length * 0.9) {
        throw new Error(
          `${contender.label} has the float model's top-1 on only ${same} of ${expected.length} pictures`,
        );
      }
    }
    log(`answers checked on ${expected.length} pictures`);

    const perBatch: Map<string, BatchMeasurement>[] = [];
    for (const batch of options.batches) {
      perBatch.push(await measureBatch(running, flagship, batch, options));
      log(`batch ${batch} measured`);
    }
    const results = await Promise.all(
      selected.map(async (contender): Promise<ContenderResult> => {
        const entry = running.find((candidate) => candidate.contender.id === contender.id);
        if (!entry) return { contender, failed: failed.get(contender.id)! };
        const checked = agreement.get(contender.id);
        const batches = perBatch.flatMap((measured) => measured.get(contender.id) ?? []);
        const { peakBytes } = await entry.page.evaluate(([data]) => globalThis.contenderPage.gpu(data, 1), [
          base64(flagship.batchFrom(0, 1)),
        ] as const);
        return {
          contender,
          load: entry.load,
          peakGpuBytes: peakBytes,
          ...(checked && { agreement: checked }),
          batches,
        };
      }),
    );
    const result: BenchResult = { context, results };
    await mkdir(path.dirname(options.output), { recursive: true });
    await writeFile(`${options.output}.json`, `${JSON.stringify(result, null, 2)}\n`);
    await writeFile(`${options.output}.md`, `${contextBlock(result)}\n\n${markdownTable(result)}\n`);
    const batch = options.batches[0];
    const svg = await drawChart(browser, server.origin, (page) =>
      page.evaluate(([data, count]) => globalThis.chartPage.latencyChart(data, count), [
        result,
        batch,
      ] as const),
    );
    await writeFile(`${options.output}.svg`, svg);
    return result;
  } finally {
    await browser.close();
    await server.close();
  }
}

const program = new Command('bench')
  .description(
    'Octet beside onnxruntime-web and TensorFlow.js: same network, same pictures, same adapter, one run',
  )
  .option('--batches <list>', 'batch sizes', (list) => list.split(',').map(positiveInteger), [1, 8])
  .option('--repetitions <n>', 'interleaved rounds', positiveInteger, 7)
  .option(
    '--seconds <n>',
    'leave out an engine at a batch size where one run takes longer',
    positiveInteger,
    40,
  )
  .option('--checked <n>', 'pictures on which answers are compared first', positiveInteger, 20)
  .option('--only <ids>', 'engines whose id contains one of these, comma-separated')
  .option('--seed <n>', 'order of the rounds', positiveInteger, 1)
  .option('--output <path>', 'where to write .json, .md and .svg', 'bench/results/engines');

if (process.argv[1] && import.meta.filename === path.resolve(process.argv[1])) {
  const options = program.parse().opts<Options>();
  const result = await compareEngines(options, (line) => process.stderr.write(`${line}\n`));
  console.log(`${contextBlock(result)}\n\n${markdownTable(result)}`);
}
