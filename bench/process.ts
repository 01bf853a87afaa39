/**
 * An engine in a Node process of its own: Octet's and onnxruntime-web's WebAssembly, and onnxruntime-node, which is no engine for the web but
 * the line of what the machine can do. The last is not among the packages that are installed, for its size:
 * `npm install --no-save --ignore-scripts onnxruntime-node@1.30.0`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type * as OnnxRuntime from 'onnxruntime-web';
import { sideOf, toFloatNchw } from './contenders/contender.ts';
import type {
  ComputeLimit,
  Contender,
  Library,
  LoadContender,
  LoadedContender,
  PixelBatch,
} from './contenders/contender.ts';
import type { BenchNetwork } from './bench-networks.ts';
import type { Connection } from './connection.ts';
import type { LoadMeasurement } from './page/contender.ts';

/** What the process is told. */
interface Start {
  readonly contender: Contender;
  readonly file: string;
  readonly preprocessing: BenchNetwork['preprocessing'];
}

type Loaded = Pick<LoadMeasurement, 'importMs' | 'fetchMs' | 'readyMs' | 'parseMs' | 'detail'>;

type Answer =
  | Loaded
  | { readonly ms: number; readonly logits: number[] }
  | { readonly memoryBytes: number }
  | { readonly limit: ComputeLimit | null }
  | { readonly error: string };

/** What the process is asked for. */
type Question = Start | PixelBatch | 'memory' | { readonly limitAt: readonly number[] };

async function ask<T extends Answer>(child: ChildProcess, message: Question): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  child.send(message);
  const [answer] = (await Promise.race([
    once(child, 'message', { signal }),
    once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`the process ended with code ${String(code)}`);
    }),
  ]).finally(() => controller.abort())) as [Answer];
  if ('error' in answer) throw new Error(answer.error);
  return answer as T;
}

export async function openProcess(contender: Contender, network: BenchNetwork): Promise<Connection> {
  const child = fork(import.meta.filename, {
    serialization: 'advanced',
    execArgv: ['--import', 'tsx', '--conditions=octet:source'],
  });
  const run = (pixels: Uint8Array, batch: number) =>
    ask<{ readonly ms: number; readonly logits: number[] }>(child, { pixels, batch });
  try {
    const file = network.fileOf(contender);
    const { preprocessing } = network;
    const loaded = await ask<Loaded>(child, { contender, file, preprocessing });
    const { ms } = await run(network.batchFrom(0, 1), 1);
    return {
      load: { ...loaded, firstRunMs: ms, modelBytes: (await stat(file)).size, code: [] },
      run,
      gpu: () => Promise.resolve({ gpuMs: null, peakBytes: null }),
      memory: async () => (await ask<{ readonly memoryBytes: number }>(child, 'memory')).memoryBytes,
      limit: async (batches) =>
        (await ask<{ readonly limit: ComputeLimit | null }>(child, { limitAt: batches })).limit,
      close: () => Promise.resolve(void child.kill()),
    };
  } catch (error) {
    child.kill();
    throw error;
  }
}

/** The process. */
function serve(): void {
  let loaded: LoadedContender | undefined;
  let bytesBefore = 0;

  async function start({ contender, file, preprocessing }: Start): Promise<Loaded> {
    const begun = performance.now();
    const load = await importEngine(contender);
    const imported = performance.now();
    bytesBefore = process.memoryUsage.rss();
    const model = await readFile(file);
    const read = performance.now();
    loaded = await load(contender, { model, preprocessing });
    return {
      importMs: imported - begun,
      fetchMs: read - imported,
      readyMs: performance.now() - read,
      ...(loaded.parseMs !== undefined && { parseMs: loaded.parseMs }),
      detail: loaded.detail ?? contender.settings,
    };
  }

  async function time(input: PixelBatch): Promise<Answer> {
    const begun = performance.now();
    const logits = await loaded!.run(input);
    return { ms: performance.now() - begun, logits: [...logits] };
  }

  async function answer(question: Question): Promise<Answer> {
    if (question === 'memory') return { memoryBytes: (await peakResidentBytes()) - bytesBefore };
    if ('limitAt' in question) return { limit: (await loaded?.limit?.(question.limitAt)) ?? null };
    return 'contender' in question ? start(question) : time(question);
  }

  process.on('message', (question: Question) => {
    void answer(question)
      .catch((error: unknown): Answer => ({ error: error instanceof Error ? error.message : String(error) }))
      .then((reply) => process.send!(reply));
  });
}

async function peakResidentBytes(): Promise<number> {
  // Linux counts what the parent had before this process's own program began as `maxRSS`, too.
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const peak = /^VmHWM:\s+(\d+) kB/m.exec(status);
  return 1024 * (peak ? Number(peak[1]) : process.resourceUsage().maxRSS);
}

async function importEngine({ library }: Contender): Promise<LoadContender> {
  if (library === 'octet') return (await import('./contenders/octet.ts')).load;
  const ort = importRuntime(library);
  return async ({ device, threads }, { model, preprocessing }) => {
    ort.env.logLevel = 'error';
    ort.env.wasm.numThreads = threads;
    const session = await ort.InferenceSession.create(model, {
      executionProviders: [device === 'native' ? 'cpu' : 'wasm'],
      graphOptimizationLevel: 'all',
      ...(device === 'native' && { intraOpNumThreads: threads }),
    });
    const toFloat = toFloatNchw(preprocessing);
    return {
      async run(input) {
        const side = sideOf(input);
        const feed = new ort.Tensor('float32', toFloat(input), [input.batch, 3, side, side]);
        const results = await session.run({ [session.inputNames[0]]: feed });
        return results[session.outputNames[0]].data as Float32Array;
      },
      dispose: () => session.release(),
    };
  };
}

/** onnxruntime-node is onnxruntime-web's twin, with the same types. */
function importRuntime(library: Library): typeof OnnxRuntime {
  try {
    return createRequire(import.meta.url)(library) as typeof OnnxRuntime;
  } catch (cause) {
    throw new Error(`${library} is not installed: bench/process.ts says how`, { cause });
  }
}

if (process.argv[1] && import.meta.filename === path.resolve(process.argv[1])) serve();
