/** A program, prepared on a device, that runs with one encoder, one pass, one submit and one readback. */
import { DeviceError, InputError } from '../errors.ts';
import type {
  AdapterDescription,
  RunTimings,
  Session,
  SessionGpuResult,
  SessionInput,
  SessionPlan,
  SessionProfile,
  SessionResult,
  SessionRunOptions,
} from '../schedule/session.ts';
import { byteCount, tensorBuffer } from '../program/program.ts';
import type { IntegerProgram, TensorBuffer, TensorId } from '../program/program.ts';
import { checkBatch, checkRun, portTensors } from '../schedule/session-input.ts';
import type { AsyncOptions } from '../progress.ts';
import type { GpuBackend } from './backend.ts';
import { bufferUsage } from './flags.ts';
import { profileWebgpu } from './profiler.ts';
import { Runtime } from './runtime.ts';
import type { RunPart } from './runtime.ts';
import { untilAborted } from './until-aborted.ts';

export interface WebgpuSession extends Session {
  readonly backend: 'webgpu';
  readonly adapter: AdapterDescription;
  /** The device and what is prepared on it, for the profiler. A lost device that was not the user's is replaced first. */
  runtime(): Promise<Runtime>;
}

export class GpuSession implements WebgpuSession {
  readonly backend = 'webgpu';
  readonly threads = null;
  readonly runOnGpu?: NonNullable<Session['runOnGpu']>;
  readonly #program: IntegerProgram;
  readonly #backend: GpuBackend;
  readonly #onDispose: () => void;
  #opening: Promise<Runtime> | undefined;
  #runtime: Runtime | undefined;
  #disposed = false;

  constructor(program: IntegerProgram, backend: GpuBackend, onDispose: () => void) {
    this.#program = program;
    this.#backend = backend;
    this.#onDispose = onDispose;
    if (backend.options.device) this.runOnGpu = (inputs, settings) => this.#runOnGpu(inputs, settings);
  }

  get adapter(): AdapterDescription {
    return this.#backend.adapter;
  }

  async prepare(batches: readonly number[], { onProgress }: AsyncOptions = {}): Promise<void> {
    const runtime = await this.runtime();
    for (const batch of batches) {
      checkBatch(batch, portTensors(this.#program));
      await runtime.withPlan(runtime.largestPart(batch), [], onProgress, () => undefined);
    }
  }

  runtime(): Promise<Runtime> {
    if (this.#disposed) return Promise.reject(disposedError());
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<Runtime> {
    try {
      const shared = await this.#backend.device();
      if (this.#disposed) throw disposedError();
      const { open } = shared;
      const runtime = new Runtime(shared, this.#program, this.#backend.operators);
      this.#runtime = runtime;
      // The next run asks for the device that takes this one's place, unless it is the user's.
      if (open.owned) void open.lost.then(() => this.#runtime === runtime && (this.#opening = undefined));
      return runtime;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  async plan(batch: number): Promise<SessionPlan> {
    checkBatch(batch, portTensors(this.#program));
    const runtime = await this.runtime();
    return runtime.withPlan(runtime.largestPart(batch), [], undefined, ({ prepared }) => ({
      plan: prepared.plan,
      constantBytes: prepared.constantBytes,
    }));
  }

  async profile(batch: number, repetitions: number, options: AsyncOptions = {}): Promise<SessionProfile> {
    checkBatch(batch, portTensors(this.#program));
    return profileWebgpu(await this.runtime(), batch, repetitions, options);
  }

  async run(
    inputs: ReadonlyMap<TensorId, SessionInput>,
    { batch, signal, tensors: asked = [] }: SessionRunOptions,
  ): Promise<SessionResult> {
    checkRun(this.#program, inputs, batch, { gpuBuffers: true });
    const wanted = [...new Set([...this.#outputs(), ...asked])];
    const results = new Map<TensorId, TensorBuffer>();
    for (const id of wanted) {
      const tensor = this.#program.tensors[id];
      if (!tensor) throw new InputError(`the program has no tensor ${id}`);
      results.set(id, tensorBuffer(tensor, batch));
    }
    const timings = await this.#inParts(inputs, wanted, batch, signal, (runtime, part) =>
      runtime.run(part, (id, bytes) => {
        const { buffer } = results.get(id)!;
        new Uint8Array(buffer).set(bytes, part.first * byteCount(this.#program.tensors[id], 1));
      }),
    );
    return { tensors: results, timings };
  }

  async #runOnGpu(
    inputs: ReadonlyMap<TensorId, SessionInput>,
    { batch, signal }: Pick<SessionRunOptions, 'batch' | 'signal'>,
  ): Promise<SessionGpuResult> {
    checkRun(this.#program, inputs, batch, { gpuBuffers: true });
    const { open } = await this.runtime();
    const buffers = new Map<TensorId, GPUBuffer>();
    try {
      for (const id of this.#outputs()) {
        const tensor = this.#program.tensors[id];
        buffers.set(
          id,
          open.device.createBuffer({
            label: `output ${tensor.name}`,
            size: byteCount(tensor, batch),
            usage: bufferUsage.storage | bufferUsage.copySrc | bufferUsage.copyDst,
          }),
        );
      }
      const timings = await this.#inParts(inputs, this.#outputs(), batch, signal, (runtime, part) =>
        runtime.runOnGpu(part, buffers),
      );
      return { buffers, timings };
    } catch (error) {
      for (const buffer of buffers.values()) buffer.destroy();
      throw error;
    }
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#runtime?.end(disposedError());
    this.#onDispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #outputs(): TensorId[] {
    return [...new Set(this.#program.outputs.map(({ tensor }) => tensor))];
  }

  /** Runs a batch in as few parts as the device's limits allow, one after the other. */
  async #inParts(
    inputs: ReadonlyMap<TensorId, SessionInput>,
    tensors: readonly TensorId[],
    batch: number,
    signal: AbortSignal | undefined,
    run: (runtime: Runtime, part: RunPart) => Promise<RunTimings>,
  ): Promise<RunTimings> {
    signal?.throwIfAborted();
    const runtime = await untilAborted(this.runtime(), signal);
    const total = { uploadMs: 0, computeMs: 0, readbackMs: 0 };
    const size = runtime.largestPart(batch);
    for (let first = 0; first < batch; first += size) {
      signal?.throwIfAborted();
      const count = Math.min(size, batch - first);
      const work = runtime.settle(run(runtime, { inputs, first, count, tensors }));
      const { uploadMs, computeMs, readbackMs } = await untilAborted(work, signal);
      total.uploadMs += uploadMs;
      total.computeMs += computeMs;
      total.readbackMs += readbackMs;
    }
    return total;
  }
}

export function disposedError(): DeviceError {
  return new DeviceError('the model was disposed of: load it again to run it');
}
