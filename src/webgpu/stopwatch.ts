/** Times passes on the GPU: by its own timestamps where the device has them, else by the clock around a submit. */
import { bufferUsage, mapModeRead } from './flags.ts';

export interface Stopwatch {
  readonly method: 'timestamp-query' | 'repetition';
  /** Milliseconds that the device takes for one pass of what `encode` puts in it. */
  time(encode: (pass: GPUComputePassEncoder) => void): Promise<number>;
  dispose(): void;
}

export function createStopwatch(device: GPUDevice, timestamps: boolean): Stopwatch {
  return timestamps ? new TimestampStopwatch(device) : new ClockStopwatch(device);
}

class TimestampStopwatch implements Stopwatch {
  readonly method = 'timestamp-query';
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #staging: GPUBuffer;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ label: 'stopwatch', type: 'timestamp', count: 2 });
    this.#resolved = device.createBuffer({
      label: 'stopwatch',
      size: 16,
      usage: bufferUsage.queryResolve | bufferUsage.copySrc,
    });
    this.#staging = device.createBuffer({
      label: 'stopwatch staging',
      size: 16,
      usage: bufferUsage.mapRead | bufferUsage.copyDst,
    });
  }

  async time(encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
    const encoder = this.#device.createCommandEncoder({ label: 'stopwatch' });
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet: this.#queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    });
    encode(pass);
    pass.end();
    encoder.resolveQuerySet(this.#queries, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 16);
    this.#device.queue.submit([encoder.finish()]);
    await this.#staging.mapAsync(mapModeRead);
    const [begin, end] = new BigInt64Array(this.#staging.getMappedRange());
    const nanoseconds = Number(end - begin);
    this.#staging.unmap();
    return nanoseconds / 1e6;
  }

  dispose(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
    this.#staging.destroy();
  }
}

class ClockStopwatch implements Stopwatch {
  readonly method = 'repetition';
  readonly #device: GPUDevice;
  /** What an empty submit takes, there and back. */
  #overheadMs: Promise<number> | undefined;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  async time(encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
    this.#overheadMs ??= this.#overhead();
    const overhead = await this.#overheadMs;
    return Math.max(0, (await this.#submit(encode)) - overhead);
  }

  async #overhead(): Promise<number> {
    let least = Infinity;
    for (let i = 0; i < 5; i++) least = Math.min(least, await this.#submit(() => undefined));
    return least;
  }

  async #submit(encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
    const encoder = this.#device.createCommandEncoder({ label: 'stopwatch' });
    const pass = encoder.beginComputePass();
    encode(pass);
    pass.end();
    const commands = encoder.finish();
    const start = performance.now();
    this.#device.queue.submit([commands]);
    await this.#device.queue.onSubmittedWorkDone();
    return performance.now() - start;
  }

  dispose(): void {
    // It holds nothing.
  }
}

/** Something that was timed. */
export interface Timed<T> {
  readonly item: T;
  /** Milliseconds of one repetition, one entry a round. */
  readonly samples: number[];
}

export interface InterleavedOptions<T> {
  readonly rounds: number;
  readonly encode: (pass: GPUComputePassEncoder, item: T) => void;
  /** After the first round, leaves out what took more than this many times the least. */
  readonly dropSlowerThan?: number;
  /** Items that the others are compared with: they are never left out, nor set what the least is. */
  readonly isReference?: (item: T) => boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onSample?: ((done: number, total: number) => void) | undefined;
}

/** A sample is to be this long: browsers round timestamps to 0.1 ms. */
const sampleMs = 2;
const mostRepetitions = 256;

/**
 * Times several things in turn, `rounds` times over, so that a change of the machine's speed falls on all alike. Short ones are
 * repeated within a pass, until a sample is long enough to be read from a clock that rounds.
 */
export async function timeInterleaved<T>(
  stopwatch: Stopwatch,
  items: readonly T[],
  {
    rounds,
    encode,
    dropSlowerThan = Infinity,
    isReference = () => false,
    signal,
    onSample,
  }: InterleavedOptions<T>,
): Promise<readonly Timed<T>[]> {
  let running: { readonly item: T; readonly samples: number[]; repetitions: number }[] = [];
  for (const item of items) {
    signal?.throwIfAborted();
    // Not counted: it warms up, and tells how often a sample must repeat it.
    const first = await stopwatch.time((pass) => encode(pass, item));
    running.push({ item, samples: [], repetitions: repetitionsFor(first) });
  }
  const timed = running;
  for (let round = 0; round < rounds; round++) {
    for (const [index, entry] of running.entries()) {
      entry.samples.push(await sample(stopwatch, entry, encode, signal));
      onSample?.(round * running.length + index + 1, rounds * running.length);
    }
    if (round > 0 || dropSlowerThan === Infinity) continue;
    const least = Math.min(
      ...running.filter(({ item }) => !isReference(item)).map(({ samples }) => samples[0]),
    );
    running = running.filter(
      ({ item, samples }) => isReference(item) || samples[0] <= least * dropSlowerThan,
    );
  }
  return timed;
}

/** How often a sample repeats what takes `ms` milliseconds. */
function repetitionsFor(ms: number): number {
  return Math.ceil(Math.min(mostRepetitions, Math.max(1, sampleMs / ms)));
}

/** Milliseconds of one repetition. Where the time that `repetitions` was reckoned from was too long by chance, corrects it. */
async function sample<T>(
  stopwatch: Stopwatch,
  entry: { readonly item: T; repetitions: number },
  encode: (pass: GPUComputePassEncoder, item: T) => void,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (;;) {
    signal?.throwIfAborted();
    const { item, repetitions } = entry;
    const ms = await stopwatch.time((pass) => {
      for (let i = 0; i < repetitions; i++) encode(pass, item);
    });
    if (ms >= sampleMs / 2 || repetitions === mostRepetitions) return ms / repetitions;
    entry.repetitions = repetitionsFor(ms / repetitions);
  }
}
