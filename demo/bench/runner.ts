/**
 * The engines of `npm run bench` in the visitor's own browser: each in an iframe of its own, answers checked first, then rounds in
 * random order.
 */
import type { Contender, Preprocessing } from '../../bench/contenders/contender.ts';
import type { ContenderPage, LoadMeasurement } from '../../bench/page/contender.ts';
import type { BatchMeasurement, BenchContext, BenchResult, ContenderResult } from '../../bench/result.ts';
import { seededRandom, shuffle } from '../../scripts/shuffle.ts';
import { summarize } from '../../bench/statistics.ts';
import floatModel from '../../models/vgg16-cifar10.onnx';
import int8Model from '../../models/vgg16-cifar10.int8.onnx';
import type { Sheet } from '../pictures/sheet.ts';
import { messageOf } from '../state.ts';

/** Versions of the engines, from their packages. Filled in by the build (vite.config.ts). */
declare const __BENCH_VERSIONS__: {
  readonly octet: string;
  readonly libraries: Readonly<Record<string, string>>;
};

/** VGG16's (models/README.md). */
const PREPROCESSING: Preprocessing = { mean: [0.4914, 0.4822, 0.4465], std: [0.2471, 0.2435, 0.2616] };
const CHECKED = 20;
/** VGG16's pictures. */
const SIDE = 32;
const SEED = 1;
const BATCHES = [1, 8];
/** An engine that takes longer than this for one call is left out of the rounds at that batch size. */
const LONGEST_MS = 20_000;
/** One that has not answered by then never will: its row says so, and the others go on. */
const PATIENCE_MS = 120_000;
/** Threads of an engine that has just run may spin a while; the next one's time must not pay for it. */
const SETTLE_MS = 60;

interface Running {
  readonly contender: Contender;
  readonly page: ContenderPage;
  readonly load: LoadMeasurement;
}

export interface BenchOptions {
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly sheet: Sheet;
  readonly signal: AbortSignal;
  /** Where the iframes go. */
  readonly place: HTMLElement;
  readonly onResult: (result: BenchResult) => void;
  readonly onStep: (step: string) => void;
}

/** Measures and reports after every step. An engine that fails is a row that says why. */
export async function runBenchmark(options: BenchOptions): Promise<void> {
  const { contenders, sheet, signal, place, onResult, onStep } = options;
  const context = await describeContext();
  await sheet.load();
  const rows = new Map<string, ContenderResult>(contenders.map((contender) => [contender.id, { contender }]));
  const giveUp = (contender: Contender, error: unknown) => {
    if (signal.aborted) throw error;
    rows.set(contender.id, { contender });
    publish(contender.id, { failed: messageOf(error).split('\n')[0] });
  };
  const publish = (id: string, part: Partial<ContenderResult>) => {
    rows.set(id, { ...rows.get(id)!, ...part });
    onResult({ context, results: [...rows.values()] });
  };
  try {
    const running: Running[] = [];
    for (const contender of contenders) {
      signal.throwIfAborted();
      onStep(`Loading ${contender.label}`);
      try {
        const page = await patiently(openFrame(place, signal), signal);
        const url = new URL(contender.model === 'float' ? floatModel : int8Model, location.href).href;
        const load = await patiently(page.load(contender, url, PREPROCESSING, SIDE), signal);
        running.push({ contender, page, load });
        publish(contender.id, { load });
      } catch (error) {
        giveUp(contender, error);
      }
    }

    const judge = running.find(({ contender }) => contender.model === 'float') ?? running[0];
    if (!judge) return;
    const expected = await answers(judge, sheet, signal);
    for (const entry of [...running]) {
      onStep(`Checking the answers of ${entry.contender.label}`);
      try {
        const actual = await answers(entry, sheet, signal);
        const same = actual.filter((value, index) => value === expected[index]).length;
        publish(entry.contender.id, { agreement: { same, of: CHECKED } });
      } catch (error) {
        giveUp(entry.contender, error);
        running.splice(running.indexOf(entry), 1);
      }
    }

    for (const batch of BATCHES) {
      onStep(`Batch ${batch}: warming up`);
      await measureBatch(running, batch, options, (id, measurement) => {
        const before = (rows.get(id)!.batches ?? []).filter((measured) => measured.batch !== batch);
        publish(id, { batches: [...before, measurement] });
      });
    }

    for (const { contender, page } of running) {
      signal.throwIfAborted();
      if (contender.device !== 'webgpu') continue;
      onStep(`GPU time and memory of ${contender.label}`);
      const { gpuMs, peakBytes } = await patiently(page.gpu(pixelsFrom(sheet, 0, 1), 1), signal);
      publish(contender.id, {
        peakGpuBytes: peakBytes,
        batches: (rows.get(contender.id)!.batches ?? []).map((measured) =>
          measured.batch === 1 ? { ...measured, gpuMs } : measured,
        ),
      });
    }
  } finally {
    place.replaceChildren();
  }
}

async function measureBatch(
  running: readonly Running[],
  batch: number,
  { rounds, sheet, signal, onStep }: BenchOptions,
  onMeasured: (id: string, measurement: BatchMeasurement) => void,
): Promise<void> {
  const random = seededRandom(SEED + batch);
  const pixels = pixelsFrom(sheet, 0, batch);
  const samples = new Map<Running, number[]>();
  for (const entry of running) {
    signal.throwIfAborted();
    const { ms } = await patiently(entry.page.run(pixels, batch), signal);
    if (ms <= LONGEST_MS) samples.set(entry, []);
  }
  for (let round = 1; round <= rounds; round++) {
    onStep(`Batch ${batch}: round ${round} of ${rounds}`);
    for (const entry of shuffle([...samples.keys()], random)) {
      signal.throwIfAborted();
      const taken = samples.get(entry)!;
      taken.push((await patiently(entry.page.run(pixels, batch), signal)).ms);
      onMeasured(entry.contender.id, { batch, latencyMs: summarize(taken), gpuMs: null });
      await pause(SETTLE_MS);
    }
  }
}

async function answers({ page }: Running, sheet: Sheet, signal: AbortSignal): Promise<number[]> {
  const classes: number[] = [];
  for (let index = 0; index < CHECKED; index++) {
    signal.throwIfAborted();
    const { logits } = await patiently(page.run(pixelsFrom(sheet, index, 1), 1), signal);
    classes.push(logits.indexOf(Math.max(...logits)));
  }
  return classes;
}

/** The answer of an engine, or an error where it is none in time; a visitor who cancels waits for nobody. */
function patiently<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    void answer.then(resolve, reject).finally(() => {
      clearTimeout(late);
      signal.removeEventListener('abort', abort);
    });
  });
}

async function openFrame(place: HTMLElement, signal: AbortSignal): Promise<ContenderPage> {
  const frame = document.createElement('iframe');
  frame.title = 'One engine of the benchmark';
  frame.src = './contender.html';
  place.append(frame);
  const inside = () =>
    (frame.contentWindow as unknown as { contenderPage?: ContenderPage } | null)?.contenderPage;
  for (;;) {
    const page = inside();
    if (page) return page;
    // Gone with its view, or given up: nobody waits any more.
    if (signal.aborted || !frame.isConnected) throw new Error('the page of the engine could not be opened');
    await pause(20);
  }
}

function pixelsFrom(sheet: Sheet, first: number, batch: number): string {
  const bytes = Array.from({ length: batch }, (_, offset) => sheet.pixels(first + offset)!.data);
  return btoa(bytes.map((data) => Array.from(data, (byte) => String.fromCharCode(byte)).join('')).join(''));
}

async function describeContext(): Promise<BenchContext> {
  const adapter = await navigator.gpu?.requestAdapter();
  const { vendor = '', architecture = '', device = '', description = '' } = adapter?.info ?? {};
  return {
    date: new Date().toISOString(),
    octet: __BENCH_VERSIONS__.octet,
    commit: 'demo page',
    engine: navigator.userAgent,
    platform: navigator.platform,
    cpu: 'CPU not told to pages',
    cores: navigator.hardwareConcurrency,
    memoryGiB: (navigator as Navigator & { deviceMemory?: number }).deviceMemory ?? 0,
    adapter: adapter ? { vendor, architecture, device, description } : { adapter: 'none' },
    libraries: __BENCH_VERSIONS__.libraries,
    seed: SEED,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
