/** All that one program has on one device: kernels, constants, plans and buffers, and the runs that use them. */
import { DeviceError } from '../errors.ts';
import type { RunTimings, SessionInput } from '../schedule/session.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import { byteCount } from '../program/program.ts';
import type { IntegerProgram, TensorId } from '../program/program.ts';
import type { ProgressEvent } from '../progress.ts';
import { ConstantCache } from './constants.ts';
import type { OpenDevice } from './device.ts';
import { planExecution } from './execution-plan.ts';
import type { DeviceProgram, ExecutionPlan } from './execution-plan.ts';
import { mapModeRead } from './flags.ts';
import { guarded } from './guard.ts';
import { PipelineCache } from './pipelines.ts';
import { PlanCache } from './plan-cache.ts';
import { PixelStages } from './pixel-stage.ts';
import { encode, preparePlan } from './prepared-plan.ts';
import type { PreparedPlan } from './prepared-plan.ts';
import { StagingRing } from './staging.ts';
import { Tuner } from './tuner.ts';
import type { TuneMode } from './tuner.ts';

/** Plans (one for each batch size and set of kept tensors) that stay prepared. */
const plansKept = 8;

/** How long an error waits for the news that the device is lost. */
const lossGraceMs = 100;

/** A part of a run that is submitted at once: images `first` to `first + count − 1`. */
export interface RunPart {
  readonly inputs: ReadonlyMap<TensorId, SessionInput>;
  readonly first: number;
  readonly count: number;
  /** Tensors to read, outputs or not. */
  readonly tensors: readonly TensorId[];
}

/** A prepared plan with the buffers that take its inputs. */
export interface RunPlan {
  readonly prepared: PreparedPlan;
  readonly stages: PixelStages;
  dispose(): void;
}

export class Runtime {
  readonly open: OpenDevice;
  readonly program: IntegerProgram;
  readonly operators: OperatorRegistry;
  readonly pipelines: PipelineCache;
  readonly constants: ConstantCache;
  readonly tuner: Tuner;
  readonly #staging: StagingRing;
  readonly #plans = new PlanCache<RunPlan>(plansKept);
  readonly #parts = new Map<number, number>();
  readonly #ended = new AbortController();
  /** Rejects what `settle` waits for. Not listeners of `ended`: Node warns of more than ten. */
  readonly #running = new Set<(error: DeviceError) => void>();

  constructor(open: OpenDevice, program: IntegerProgram, operators: OperatorRegistry, tune: TuneMode) {
    this.open = open;
    this.program = program;
    this.operators = operators;
    this.pipelines = new PipelineCache(open.device);
    this.constants = new ConstantCache(open.device);
    this.tuner = new Tuner(open, this.pipelines, this.constants, tune);
    this.#staging = new StagingRing(open.device);
    void open.lost.then((error) => this.end(error));
  }

  /** Aborted by `end`, with the error that runs in flight report. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Frees everything; runs in flight reject with `error`. Idempotent. */
  end(error: DeviceError): void {
    if (this.ended.aborted) return;
    this.#ended.abort(error);
    for (const cutOff of this.#running) cutOff(error);
    this.#staging.dispose();
    this.#plans.dispose();
    this.open.close();
  }

  /**
   * The result of work on this device. Where the device goes away meanwhile, the reason why rejects it: the work's own error
   * would only be that a buffer is gone.
   */
  async settle<T>(work: Promise<T>): Promise<T> {
    let cutOff: ((error: DeviceError) => void) | undefined;
    const cut = new Promise<never>((_, reject) => (cutOff = reject));
    this.#running.add(cutOff!);
    try {
      const result = await Promise.race([work, cut]);
      const failure = this.open.failure();
      if (failure) throw failure;
      return result;
    } catch (error) {
      // `device.lost` may resolve a little after the promises that the loss rejects.
      if (!this.ended.aborted) await Promise.race([this.open.lost, pause(lossGraceMs)]);
      throw this.ended.aborted ? this.ended.reason : error;
    } finally {
      this.#running.delete(cutOff!);
    }
  }

  /**
   * How many images of a batch the device's limits let through at once.
   * @throws {DeviceError} not even one
   */
  largestPart(batch: number): number {
    let part = this.#parts.get(batch);
    if (part === undefined) {
      part = batch;
      for (;;) {
        const obstacle = this.#obstacle(part);
        if (obstacle === undefined) break;
        if (part === 1)
          throw new DeviceError(`the model does not fit this GPU even one image at a time: ${obstacle}`);
        // Parts of a multiple of 4 images start at whole words, whatever the image's size.
        part = part > 8 ? Math.ceil(part / 8) * 4 : part > 4 ? 4 : part >> 1;
      }
      this.#parts.set(batch, part);
    }
    return part;
  }

  /** What keeps `count` images from running at once on this device. */
  #obstacle(count: number): string | undefined {
    const { limits } = this.open.device;
    for (const tensor of this.program.tensors) {
      const bytes = byteCount(tensor, count);
      if (bytes > limits.maxStorageBufferBindingSize) {
        return `tensor "${tensor.name}" takes ${bytes} bytes, and a binding may have ${limits.maxStorageBufferBindingSize}`;
      }
    }
    const { memory, dispatches } = this.#plan(count, []);
    const arena = memory.arenas.reduce((most, bytes) => Math.max(most, bytes), 0);
    if (arena > limits.maxBufferSize) {
      return `its activations take ${arena} bytes in one buffer, and a buffer may have ${limits.maxBufferSize}`;
    }
    for (const { dispatch } of dispatches) {
      const most = Math.max(...dispatch.workgroups);
      if (most > limits.maxComputeWorkgroupsPerDimension) {
        return `kernel ${dispatch.label} needs ${most} workgroups in one dimension, and ${limits.maxComputeWorkgroupsPerDimension} are allowed`;
      }
    }
    return undefined;
  }

  #plan(batch: number, keep: readonly TensorId[]): ExecutionPlan {
    return planExecution({
      ...this.#request(batch),
      keep,
      choose: (candidates) => this.tuner.choose(candidates),
    });
  }

  #request(batch: number): DeviceProgram {
    const { program, operators } = this;
    return { program, operators, batch, capabilities: this.open.capabilities };
  }

  /** Calls `use` with the plan of `batch` images after which the outputs and `keep` are there, preparing it where it is not. */
  async withPlan<R>(
    batch: number,
    keep: readonly TensorId[],
    onProgress: ((event: ProgressEvent) => void) | undefined,
    use: (plan: RunPlan) => R | Promise<R>,
  ): Promise<R> {
    const outputs = new Set(this.program.outputs.map(({ tensor }) => tensor));
    const kept = [...new Set(keep)].filter((id) => !outputs.has(id)).sort((a, b) => a - b);
    return this.#plans.with(`${batch}|${kept.join()}`, () => this.#prepare(batch, kept, onProgress), use);
  }

  async #prepare(
    batch: number,
    keep: readonly TensorId[],
    onProgress: ((event: ProgressEvent) => void) | undefined,
  ): Promise<RunPlan> {
    const { device } = this.open;
    await this.tuner.tune(this.#request(batch), this.ended, onProgress);
    const plan = this.#plan(batch, keep);
    let done = 0;
    const total = plan.dispatches.length;
    onProgress?.({ stage: 'compile', done, total });
    const prepared = await preparePlan(device, plan, this.pipelines, this.constants, (item) =>
      onProgress?.({ stage: 'compile', done: ++done, total, item }),
    );
    const stages = new PixelStages(device, this.program, prepared, this.pipelines, this.open.capabilities);
    const dispose = () => {
      stages.dispose();
      prepared.dispose();
    };
    if (this.ended.aborted) {
      dispose();
      throw this.ended.reason;
    }
    return { prepared, stages, dispose };
  }

  /** Runs a part and hands each wanted tensor's bytes, valid only during the call, to `receive`. */
  async run(part: RunPart, receive: (tensor: TensorId, bytes: Uint8Array) => void): Promise<RunTimings> {
    const slot = await this.#staging.acquire();
    let broken = true;
    try {
      const timings = await this.withPlan(part.count, part.tensors, undefined, async (plan) => {
        await plan.stages.prepare(part.inputs);
        this.ended.throwIfAborted();
        const ranges = part.tensors.map((id) => plan.prepared.range(id));
        const total = ranges.reduce((bytes, { size }) => bytes + size, 0);
        const { device } = this.open;

        const started = performance.now();
        const { staging, submitted, computed } = await guarded(device, 'running the model', async () => {
          const staging = slot.buffer(total);
          const encoder = this.#encode(plan, part);
          let offset = 0;
          for (const range of ranges) {
            encoder.copyBufferToBuffer(range.buffer, range.offset, staging, offset, range.size);
            offset += range.size;
          }
          device.queue.submit([encoder.finish()]);
          const submitted = performance.now();
          const [computed] = await Promise.all([
            device.queue.onSubmittedWorkDone().then(() => performance.now()),
            staging.mapAsync(mapModeRead, 0, total),
          ]);
          return { staging, submitted, computed };
        });

        const mapped = staging.getMappedRange(0, total);
        let offset = 0;
        for (const [index, { size }] of ranges.entries()) {
          receive(part.tensors[index], new Uint8Array(mapped, offset, size));
          offset += size;
        }
        staging.unmap();
        const uploadMs = submitted - started;
        return { uploadMs, computeMs: computed - submitted, readbackMs: performance.now() - computed };
      });
      broken = false;
      return timings;
    } finally {
      slot.release(broken);
    }
  }

  /** Runs a part whose outputs are copied to `targets` (at the part's images) and stay on the GPU. */
  async runOnGpu(part: RunPart, targets: ReadonlyMap<TensorId, GPUBuffer>): Promise<RunTimings> {
    return this.withPlan(part.count, part.tensors, undefined, async (plan) => {
      await plan.stages.prepare(part.inputs);
      this.ended.throwIfAborted();
      const started = performance.now();
      const submitted = await guarded(this.open.device, 'running the model', () => {
        const encoder = this.#encode(plan, part);
        for (const id of part.tensors) {
          const { buffer, offset, size } = plan.prepared.range(id);
          const first = part.first * byteCount(this.program.tensors[id], 1);
          encoder.copyBufferToBuffer(buffer, offset, targets.get(id)!, first, size);
        }
        this.open.device.queue.submit([encoder.finish()]);
        return performance.now();
      });
      return { uploadMs: submitted - started, computeMs: 0, readbackMs: 0 };
    });
  }

  /** Writes the inputs and encodes the pass. From here to the submit nothing is awaited: runs share buffers, in queue order. */
  #encode(plan: RunPlan, part: RunPart): GPUCommandEncoder {
    const { device } = this.open;
    const encoder = device.createCommandEncoder({ label: 'run' });
    const stages = plan.stages.write(encoder, part);
    const pass = encoder.beginComputePass({ label: 'run' });
    encode(pass, stages);
    encode(pass, plan.prepared.dispatches);
    pass.end();
    return encoder;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
