/**
 * `npm run bench`: every engine on the same network, the same pictures and the same adapter, in one run of one browser,
 * interleaved in random order. Writes JSON, a table and charts to bench/results/.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { mean, sampleCorrelation } from 'simple-statistics';
import { gzip } from 'node:zlib';
import { Command, Option } from 'commander';
import type { Browser } from 'playwright';
import { launchChromium } from '../test/support/chromium.ts';
import { serve } from './serve.ts';
import type { Served } from './serve.ts';
import { BENCH_NETWORKS, loadNetwork } from './bench-networks.ts';
import type { BenchNetwork, BenchNetworkName } from './bench-networks.ts';
import { openPage } from './connection.ts';
import type { Connection } from './connection.ts';
import { allContenders, nodeContenders } from './contenders/catalog.ts';
import type { Contender } from './contenders/contender.ts';
import { drawChart, machineContext, positiveInteger } from './context.ts';
import { openProcess } from './process.ts';
import { contextBlock, markdownTable } from './report.ts';
import type { BatchMeasurement, BenchContext, BenchResult, ContenderResult, LeftOut } from './result.ts';
import { seededRandom, shuffle } from '../scripts/shuffle.ts';
import { summarize } from './statistics.ts';

export interface Options {
  readonly network: BenchNetworkName;
  readonly batches: readonly number[];
  readonly repetitions: number;
  /** Longest time of one call. */
  readonly seconds: number;
  /** Time for the calls of one engine at one batch size, warm-up aside. */
  readonly budget: number;
  readonly checked: number;
  readonly seed: number;
  readonly output: string;
  /** Engines in Node processes in place of pages. */
  readonly node: boolean;
}

/** An engine in its page or process, and what is known of it so far. */
interface Running {
  readonly contender: Contender;
  readonly connection: Connection;
  /** GPU time at batch 1, and the highest GPU memory so far. */
  readonly gpuMs: number | null;
  readonly peakGpuBytes: number | null;
  /** Milliseconds an image of the last calls: what longer ones will take. */
  msAnImage: number;
  failed?: string;
  agreement?: { readonly same: number; readonly of: number };
  readonly batches: BatchMeasurement[];
  readonly leftOut: LeftOut[];
  /** Of a process of its own; null for a page. */
  peakBytes?: number | null;
  limit?: ContenderResult['limit'];
}

/** Threads of an engine that has just run may spin a while; the next one's time must not pay for it. */
const SETTLE_MS = 60;
/** An engine that has not loaded, or answered, after this long has failed. */
const PATIENCE_MS = 240_000;
/** Fewest timed calls of an engine, however slow. */
const FEWEST = 2;
/** Most calls of one engine in a round, and how long they may take: rows of few milliseconds need more samples than rows of seconds. */
const CALLS_A_ROUND = { most: 5, ms: 250 };
/** Int8 models reach 0.98 and more, other networks nothing near it. */
const LEAST_CORRELATION = 0.9;
/** A call that takes longer is not repeated for its GPU time. */
const GPU_TIME_MS = 3000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}

/** @throws Error no answer in time */
async function within<T>(work: Promise<T>, what: string): Promise<T> {
  const controller = new AbortController();
  const timeout = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no answer within ${PATIENCE_MS / 1000} s (${what})`));
    }, PATIENCE_MS);
    controller.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    controller.abort();
  }
}

async function open(
  browser: Browser,
  served: Served,
  contender: Contender,
  network: BenchNetwork,
  { node }: Options,
): Promise<Running> {
  const opening =
    node || contender.device === 'native'
      ? openProcess(contender, network)
      : openPage(browser, served, contender, network);
  const connection = await within(opening, 'loading');
  // Before larger batches take more memory.
  const { gpuMs, peakBytes } = await gpuTime(contender, connection, network.batchFrom(0, 1), 1);
  const { ms } = await runOnce(connection, network.batchFrom(0, 1), 1);
  return { contender, connection, gpuMs, peakGpuBytes: peakBytes, msAnImage: ms, batches: [], leftOut: [] };
}

function runOnce(connection: Connection, pixels: Uint8Array, batch: number) {
  return within(connection.run(pixels, batch), `batch ${batch}`);
}

async function gpuTime({ device }: Contender, connection: Connection, pixels: Uint8Array, batch: number) {
  if (device !== 'webgpu') return { gpuMs: null, peakBytes: null };
  return within(connection.gpu(pixels, batch), 'GPU time');
}

/** Logits of the first `count` pictures, run as one batch, or as many as the engine takes. */
async function answers(entry: Running, network: BenchNetwork, count: number): Promise<number[][]> {
  const size = Math.min(count, entry.contender.largestBatch?.batch ?? count);
  const found: number[][] = [];
  for (let first = 0; first < count; first += size) {
    const batch = Math.min(size, count - first);
    const { ms, logits } = await runOnce(entry.connection, network.batchFrom(first, batch), batch);
    entry.msAnImage = Math.min(entry.msAnImage, ms / batch);
    const classes = logits.length / batch;
    for (let i = 0; i < batch; i++) found.push(logits.slice(i * classes, (i + 1) * classes));
  }
  return found;
}

function top1(logits: readonly number[]): number {
  return logits.indexOf(Math.max(...logits));
}

/** Ends an engine's part. It may still be at work, in the way of all others. @returns the reason */
async function giveUp(entry: Running, error: unknown): Promise<string> {
  entry.failed = firstLine(error);
  await entry.connection.close();
  return entry.failed;
}

/**
 * The answers of every engine on the same pictures. One whose logits do not correlate with the float model's is not computing the same
 * network, and is not timed. Top-1 alone would not tell: of a thousand classes, int8 may decide close calls otherwise.
 */
async function checkAnswers(
  running: readonly Running[],
  network: BenchNetwork,
  count: number,
  log: (line: string) => void,
): Promise<void> {
  // The float model's answers are the first float engine's on WASM, else the first float one's, else nobody's.
  const floats = running.filter(({ contender }) => contender.model === 'float');
  const judge = floats.find(({ contender }) => contender.device === 'wasm') ?? floats[0];
  const expected = judge && (await answers(judge, network, count));
  for (const entry of running) {
    const { label } = entry.contender;
    try {
      const actual = await answers(entry, network, count);
      if (!expected) continue;
      const same = actual.filter((logits, i) => top1(logits) === top1(expected[i])).length;
      entry.agreement = { same, of: count };
      const correlation = mean(actual.map((logits, i) => sampleCorrelation(logits, expected[i])));
      if (!(correlation >= LEAST_CORRELATION))
        throw new Error(`its logits correlate with the float model's by ${correlation.toFixed(3)} only`);
      log(
        `${label}: top-1 of ${same} of ${count} and ${correlation.toFixed(4)} of the logits are the float model's`,
      );
    } catch (error) {
      log(`${label}: failed, ${await giveUp(entry, error)}`);
    }
  }
}

async function measureBatch(
  running: readonly Running[],
  network: BenchNetwork,
  batch: number,
  { repetitions, seconds, budget, seed }: Options,
  log: (line: string) => void,
): Promise<void> {
  const random = seededRandom(seed + batch);
  const pixels = network.batchFrom(0, batch);
  const samples = new Map<Running, number[]>();
  const rounds = new Map<Running, number>();
  const limitText = `one call may take ${seconds} s`;
  for (const entry of running) {
    if (entry.failed !== undefined) continue;
    const { largestBatch } = entry.contender;
    if (largestBatch && batch > largestBatch.batch) {
      entry.leftOut.push({ batch, reason: largestBatch.reason });
      continue;
    }
    const expected = (entry.msAnImage * batch) / 1000;
    if (expected > seconds * 1.5) {
      entry.leftOut.push({ batch, reason: `a call would take about ${expected.toFixed(0)} s; ${limitText}` });
      continue;
    }
    try {
      // Warm-up. It may compile kernels for this batch size, and so tells only roughly how long a call takes.
      const { ms } = await runOnce(entry.connection, pixels, batch);
      await sleep(SETTLE_MS);
      if (ms > seconds * 1000) {
        const taken = (ms / 1000).toFixed(0);
        entry.leftOut.push({ batch, reason: `a call takes ${taken} s; ${limitText}` });
        continue;
      }
      samples.set(entry, []);
      const fitting = Math.floor((budget * 1000) / ms);
      rounds.set(entry, Math.min(repetitions, Math.max(FEWEST, fitting)));
    } catch (error) {
      log(`${entry.contender.label}: failed, ${await giveUp(entry, error)}`);
    }
  }
  log(`batch ${batch}: ${samples.size} engines warm`);
  for (let round = 0; round < repetitions; round++) {
    for (const entry of shuffle([...samples.keys()], random)) {
      // Slow engines take part in fewer rounds, evenly spread.
      const own = rounds.get(entry)!;
      if (Math.floor(((round + 1) * own) / repetitions) === Math.floor((round * own) / repetitions)) continue;
      const taken = samples.get(entry)!;
      const fastest = taken.length > 0 ? Math.min(...taken) : Infinity;
      const times = Math.min(CALLS_A_ROUND.most, Math.max(1, Math.ceil(CALLS_A_ROUND.ms / fastest)));
      for (let i = 0; i < times; i++) taken.push((await runOnce(entry.connection, pixels, batch)).ms);
      await sleep(SETTLE_MS);
    }
    log(`batch ${batch}: round ${round + 1} of ${repetitions}`);
  }
  for (const [entry, taken] of samples) {
    const latencyMs = summarize(taken);
    entry.msAnImage = latencyMs.median / batch;
    let gpuMs = batch === 1 ? entry.gpuMs : null;
    if (batch > 1 && entry.contender.device === 'webgpu' && latencyMs.median <= GPU_TIME_MS)
      ({ gpuMs } = await gpuTime(entry.contender, entry.connection, pixels, batch));
    entry.batches.push({ batch, latencyMs, gpuMs });
  }
}

/** How near the engines that tell come to what the device can do. */
async function measureLimits(running: readonly Running[]): Promise<void> {
  for (const entry of running) {
    if (entry.failed !== undefined) continue;
    const sizes = entry.batches.map(({ batch }) => batch);
    const limit = await within(entry.connection.limit(sizes), 'register peak');
    if (!limit) continue;
    const { idealMs, peaks, layers } = limit;
    entry.limit = { peaks, layers };
    entry.batches.forEach((measurement, i) => {
      entry.batches[i] = { ...measurement, shareOfPeak: idealMs[i] / measurement.latencyMs.median };
    });
  }
}

async function browserContext(browser: Browser, url: string, seed: number): Promise<BenchContext> {
  const page = await browser.newPage();
  await page.goto(`${url}chart.html`);
  const adapter = await page.evaluate(async () => {
    const found = await navigator.gpu.requestAdapter();
    if (!found) return { adapter: 'none' };
    const { vendor, architecture, device, description } = found.info;
    return { vendor, architecture, device, description };
  });
  await page.close();
  return machineContext(adapter, `Chromium ${browser.version()}`, seed);
}

/** Bytes of an engine's scripts and WebAssembly as a static host sends them. */
async function gzippedBytes(files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    files.map(async (file) => (await promisify(gzip)(await readFile(file))).length),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Runs the whole comparison. An engine that fails is a row that says so. */
export async function compareEngines(
  selected: readonly Contender[],
  options: Options,
  log: (line: string) => void,
): Promise<BenchResult> {
  const started = performance.now();
  const timed = (line: string): void =>
    log(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}`);
  const litert = selected.some(({ library }) => library === 'litert.js');
  const network = await loadNetwork(options.network, litert);
  const served = await serve();
  timed('pages built');
  const browser = await launchChromium();
  const running: Running[] = [];
  try {
    const context = options.node
      ? await machineContext({}, `Node ${process.version}`, options.seed)
      : await browserContext(browser, served.url, options.seed);
    const failed = new Map<string, string>();
    for (const contender of selected) {
      try {
        const entry = await open(browser, served, contender, network, options);
        running.push(entry);
        const { readyMs, firstRunMs } = entry.connection.load;
        const loadMs = readyMs + firstRunMs;
        timed(
          `${contender.label}: loaded in ${loadMs.toFixed(0)} ms, then ${entry.msAnImage.toFixed(0)} ms a call`,
        );
      } catch (error) {
        failed.set(contender.id, firstLine(error));
        timed(`${contender.label}: failed, ${firstLine(error)}`);
      }
    }
    await checkAnswers(running, network, options.checked, timed);
    for (const batch of options.batches) await measureBatch(running, network, batch, options, timed);
    // Before the limits, whose timings take memory of their own.
    for (const entry of running)
      if (entry.failed === undefined) entry.peakBytes = await entry.connection.memory();
    await measureLimits(running);
    const results = await Promise.all(
      selected.map(async (contender): Promise<ContenderResult> => {
        const entry = running.find((candidate) => candidate.contender.id === contender.id);
        if (!entry) return { contender, failed: failed.get(contender.id)! };
        const { connection, peakGpuBytes, peakBytes, agreement, batches, leftOut, limit } = entry;
        const { load } = connection;
        return {
          contender,
          ...(entry.failed !== undefined && { failed: entry.failed }),
          load,
          codeBytes: await gzippedBytes(load.code.map((address) => served.fileOf(address))),
          peakGpuBytes,
          ...(typeof peakBytes === 'number' && { peakBytes }),
          ...(agreement && { agreement }),
          batches,
          ...(leftOut.length > 0 && { leftOut }),
          ...(limit && { limit }),
        };
      }),
    );
    const result: BenchResult = { context, results };
    await writeResult(result, options, browser, served.url);
    timed(`written to ${options.output}.json`);
    return result;
  } finally {
    await Promise.all(running.map(({ connection }) => connection.close()));
    await browser.close();
    await served.close();
  }
}

async function writeResult(
  result: BenchResult,
  { output, batches }: Options,
  browser: Browser,
  url: string,
): Promise<void> {
  await mkdir(path.dirname(output), { recursive: true });
  await writeFile(`${output}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(`${output}.md`, `${contextBlock(result)}\n\n${markdownTable(result)}\n`);
  const svg = await drawChart(browser, url, (page) =>
    page.evaluate(([data, count]) => globalThis.chartPage.latencyChart(data, count), [
      result,
      batches[0],
    ] as const),
  );
  await writeFile(`${output}.svg`, svg);
}

const program = new Command('bench')
  .description(
    'Octet beside LiteRT.js, onnxruntime-web and TensorFlow.js: same network, same pictures, same adapter, one run',
  )
  .addOption(
    new Option('--networks <names...>', 'what is run, in one table each')
      .choices(BENCH_NETWORKS)
      .default(['vgg16']),
  )
  .option('--batches <list>', 'batch sizes', (list) => list.split(',').map(positiveInteger), [1, 8, 64])
  .option('--repetitions <n>', 'interleaved rounds', positiveInteger, 10)
  .option('--seconds <n>', 'leave an engine out where one call takes longer', positiveInteger, 60)
  .option(
    '--budget <n>',
    `seconds of timed calls of one engine at one batch size (at least ${FEWEST} calls)`,
    positiveInteger,
    40,
  )
  .option('--checked <n>', 'pictures on which answers are compared first', positiveInteger, 20)
  .option(
    '--node',
    'in Node, a process each, in place of pages: what runs there without a GPU, and its memory',
    false,
  )
  .option('--only <ids>', 'engines whose id contains one of these, comma-separated')
  .option('--seed <n>', 'order of the rounds', positiveInteger, 1)
  .option(
    '--output <path>',
    'where to write .json, .md and .svg, with the name of a network other than VGG16 behind it',
    'bench/results/engines',
  );

interface CommandOptions extends Omit<Options, 'network'> {
  readonly only?: string;
  readonly networks: readonly BenchNetworkName[];
}

function select(only: string | undefined, node: boolean): Contender[] {
  const all = (node ? nodeContenders : allContenders)(os.availableParallelism());
  const wanted = only?.split(',');
  const selected = all.filter(({ id }) => !wanted || wanted.some((part) => id.includes(part)));
  if (selected.length === 0) {
    program.error(`--only ${only} matches none of ${all.map(({ id }) => id).join(', ')}`);
  }
  return selected;
}

if (process.argv[1] && import.meta.filename === path.resolve(process.argv[1])) {
  const { only, networks, ...rest } = program.parse().opts<CommandOptions>();
  const selected = select(only, rest.node);
  for (const network of networks) {
    const output = network === 'vgg16' ? rest.output : `${rest.output}-${network}`;
    const options = { ...rest, network, output };
    const result = await compareEngines(selected, options, (line) => process.stderr.write(`${line}\n`));
    console.log(`${contextBlock(result)}\n\n${markdownTable(result)}`);
    if (result.results.some(({ contender, failed }) => contender.library === 'octet' && failed !== undefined))
      process.exitCode = 1;
  }
}
