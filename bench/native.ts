/**
 * onnxruntime-node in a process of its own: no engine for the web, but the line of what the machine can do. Not among the packages that are
 * installed, for its size: `npm install --no-save --ignore-scripts onnxruntime-node@1.30.0`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type * as OnnxRuntime from 'onnxruntime-web';
import { sideOf, toFloatNchw } from './contenders/contender.ts';
import type { Contender, PixelBatch } from './contenders/contender.ts';
import type { BenchNetwork } from './bench-networks.ts';
import type { Connection } from './connection.ts';

/** What the process is told. */
interface Start {
  readonly contender: Contender;
  readonly file: string;
  readonly preprocessing: BenchNetwork['preprocessing'];
}

type Answer =
  | { readonly loadMs: number; readonly importMs: number }
  | { readonly ms: number; readonly logits: number[] }
  | { readonly error: string };

async function ask<T extends Answer>(child: ChildProcess, message: Start | PixelBatch): Promise<T> {
  child.send(message);
  const [answer] = (await once(child, 'message')) as [Answer];
  if ('error' in answer) throw new Error(answer.error);
  return answer as T;
}

export async function openNative(contender: Contender, network: BenchNetwork): Promise<Connection> {
  const child = fork(import.meta.filename, { serialization: 'advanced' });
  const run = (pixels: Uint8Array, batch: number) =>
    ask<{ readonly ms: number; readonly logits: number[] }>(child, { pixels, batch });
  try {
    const file = network.fileOf(contender);
    const { loadMs, importMs } = await ask<{ readonly loadMs: number; readonly importMs: number }>(child, {
      contender,
      file,
      preprocessing: network.preprocessing,
    });
    const { ms } = await run(network.batchFrom(0, 1), 1);
    return {
      load: {
        fetchMs: 0,
        importMs,
        readyMs: loadMs,
        firstRunMs: ms,
        modelBytes: (await stat(file)).size,
        code: [],
        detail: contender.settings,
      },
      run,
      gpu: () => Promise.resolve({ gpuMs: null, peakBytes: null }),
      limit: () => Promise.resolve(null),
      close: () => Promise.resolve(void child.kill()),
    };
  } catch (error) {
    child.kill();
    throw error;
  }
}

/** The process. */
function serve(): void {
  let run: ((input: PixelBatch) => Promise<number[]>) | undefined;

  async function start({ contender, file, preprocessing }: Start): Promise<Answer> {
    const begun = performance.now();
    const ort = importRuntime();
    const imported = performance.now();
    const session = await ort.InferenceSession.create(await readFile(file), {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'all',
      intraOpNumThreads: contender.threads,
    });
    const toFloat = toFloatNchw(preprocessing);
    run = async (input) => {
      const side = sideOf(input);
      const feed = new ort.Tensor('float32', toFloat(input), [input.batch, 3, side, side]);
      const results = await session.run({ [session.inputNames[0]]: feed });
      return [...(results[session.outputNames[0]].data as Float32Array)];
    };
    return { importMs: imported - begun, loadMs: performance.now() - imported };
  }

  async function time(input: PixelBatch): Promise<Answer> {
    const begun = performance.now();
    const logits = await run!(input);
    return { ms: performance.now() - begun, logits };
  }

  process.on('message', (message: Start | PixelBatch) => {
    void ('contender' in message ? start(message) : time(message))
      .catch((error: unknown): Answer => ({ error: error instanceof Error ? error.message : String(error) }))
      .then((answer) => process.send!(answer));
  });
}

/** It is onnxruntime-web's twin, with the same types. */
function importRuntime(): typeof OnnxRuntime {
  try {
    return createRequire(import.meta.url)('onnxruntime-node') as typeof OnnxRuntime;
  } catch (cause) {
    throw new Error('onnxruntime-node is not installed: bench/native.ts says how', { cause });
  }
}

if (process.argv[1] && import.meta.filename === path.resolve(process.argv[1])) serve();
