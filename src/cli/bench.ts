import type { Command } from 'commander';
import { median, quantileSorted } from 'simple-statistics';
import { InputError, OctetError } from '../errors.ts';
import { loadFixedModel } from '../model/load.ts';
import type { FixedModel } from '../model/fixed-sizes.ts';
import type { InputShape, RunInput } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { isQuantized } from '../graph/patterns.ts';
import type { BackendName } from '../schedule/session.ts';
import type { CommandContext } from './context.ts';
import {
  activationLimit,
  finiteNumber,
  inputShapeOption,
  inputSizes,
  maxActivationBytesOption,
  positiveInteger,
  positiveIntegers,
} from './options.ts';
import { note, print, printJson, progress, table } from './output.ts';

interface BenchCommandOptions {
  readonly backend: readonly BackendName[];
  readonly batch: readonly number[];
  readonly threads?: number;
  readonly seconds: number;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly json?: boolean;
}

/** Runs that are not counted: engines compile, memory is mapped. */
const WARM_UP = 3;
/** At least so many count, however long they take. */
const LEAST_RUNS = 5;

interface Timing {
  readonly backend: BackendName;
  readonly threads: number | null;
  readonly adapter: string | null;
  readonly batch: number;
  readonly runs: number;
  /** Of one picture, in milliseconds. */
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  /** From the file to a model that answers, in milliseconds. */
  readonly load: number;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'quantized ONNX file')
    .option(
      '--backend <name...>',
      'backends to time: webgpu, wasm, reference (default: wasm, and webgpu where there is a GPU)',
      backendNames,
      [],
    )
    .option('--batch <list>', 'pictures a run, such as 1,8', positiveIntegers, [1, 8])
    .option('--threads <n>', 'threads on the wasm backend (default: one a core)', positiveInteger)
    .option('--seconds <n>', 'how long each is timed', finiteNumber, 2)
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--json', 'print JSON')
    .action(async (path: string, options: BenchCommandOptions) => {
      const graph = await readGraph(path, { signal, ...inputSizes(options) });
      if (!isQuantized(graph)) throw new InputError(`${path} is a float model: quantize it first`);
      const timings: Timing[] = [];
      const names = options.backend.length > 0 ? options.backend : (['wasm', 'webgpu'] as const);
      const bar = progress('Timing');
      try {
        for (const [position, backend] of names.entries()) {
          const start = performance.now();
          let model: FixedModel;
          try {
            model = await loadFixedModel(path, {
              backend,
              signal,
              batches: options.batch,
              ...inputSizes(options),
              ...activationLimit(options),
              ...(options.threads !== undefined && { threads: options.threads }),
            });
          } catch (error) {
            // A machine without a GPU is no failure unless a GPU was asked for.
            if (options.backend.length > 0 || backend !== 'webgpu' || !(error instanceof OctetError))
              throw error;
            note('webgpu: not timed, there is no GPU that Octet can use here');
            continue;
          }
          const load = performance.now() - start;
          try {
            for (const [index, batch] of options.batch.entries()) {
              timings.push({ ...(await timeBatch(model, batch, options.seconds, signal)), load });
              bar.update(position * options.batch.length + index + 1, names.length * options.batch.length);
            }
          } finally {
            model.dispose();
          }
        }
      } finally {
        bar.stop();
      }
      if (options.json) {
        printJson({ model: path, timings });
        return;
      }
      print(
        table(
          ['backend', ' batch', ' ms/picture', ' p10', ' p90', ' pictures/s', ' runs', ' load ms'],
          timings.map(({ backend, threads, batch, runs, median: middle, p10, p90, load: loading }) => [
            threads === null ? backend : `${backend}, ${threads} threads`,
            batch,
            ...[middle, p10, p90].map((value) => value.toFixed(value < 10 ? 2 : 1)),
            (1000 / middle).toFixed(1),
            runs,
            loading.toFixed(0),
          ]),
        ),
      );
      const adapter = timings.find((timing) => timing.adapter !== null)?.adapter;
      if (adapter) note(`webgpu: ${adapter}`);
    });
}

function backendNames(name: string, previous: readonly BackendName[]): readonly BackendName[] {
  if (name !== 'webgpu' && name !== 'wasm' && name !== 'reference') {
    throw new InputError(`there is no backend "${name}", only webgpu, wasm and reference`);
  }
  return [...previous, name];
}

async function timeBatch(
  model: FixedModel,
  batch: number,
  seconds: number,
  signal: AbortSignal,
): Promise<Omit<Timing, 'load'>> {
  const inputs = Object.fromEntries(
    model.inputs.map(({ name, channels, height, width, scale }): [string, RunInput] => {
      const length = batch * channels * height * width;
      // Values that differ: what is constant may be faster than what people run.
      return [
        name,
        scale === null
          ? Float32Array.from({ length }, (_, i) => ((i * 37) % 251) / 251)
          : Int8Array.from({ length }, (_, i) => ((i * 37) % 251) - 125),
      ];
    }),
  );
  for (let run = 0; run < WARM_UP; run++) await model.run(inputs, { signal });
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (times.length < LEAST_RUNS || performance.now() < end) {
    const start = performance.now();
    await model.run(inputs, { signal });
    times.push((performance.now() - start) / batch);
  }
  times.sort((a, b) => a - b);
  const { backend, threads, adapter } = model;
  return {
    backend,
    threads,
    adapter: adapter && [adapter.vendor, adapter.device, adapter.description].filter(Boolean).join(' '),
    batch,
    runs: times.length,
    median: median(times),
    p10: quantileSorted(times, 0.1),
    p90: quantileSorted(times, 0.9),
  };
}
