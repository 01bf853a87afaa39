/** All that one program has on one device: plans and buffers, and the runs that use them. */
import { DeviceError } from '../errors.ts';
import { BoundedCache } from '../schedule/bounded-cache.ts';
import type { HostStage } from '../schedule/execution-plan.ts';
import type { RunTimings, SessionInput } from '../schedule/session.ts';
import type { OperatorRegistry } from '../ops/registry.ts';
import { ReferenceTensors } from '../ops/reference-tensors.ts';
import { byteCount, elementCount } from '../program/program.ts';
import type { IntegerProgram, TensorId } from '../program/program.ts';
import type { ProgressEvent } from '../progress.ts';
import type { ConstantCache } from './constants.ts';
import type { OpenDevice } from './device.ts';
import type { SharedDevice } from './backend.ts';
import { planExecution } from './execution-plan.ts';
import type { Candidates, DeviceProgram, GpuPlan } from './execution-plan.ts';
import { mapModeRead } from './flags.ts';
import { guarded } from './guard.ts';
import type { PipelineCache } from './pipelines.ts';
import { PixelStages } from './pixel-stage.ts';
import { encode, preparePlan } from './prepared-plan.ts';
import type { PreparedDispatch, PreparedPlan } from './prepared-plan.ts';
import { StagingRing } from './staging.ts';
import type { StagingSlot } from './staging.ts';
import type { Tuner } from './tuner.ts';

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
  readonly phases: readonly Phase[];
  readonly inputs: PixelStages;
  /** Of runs, where the plan has host stages. */
  readonly turns: Turns;
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
  readonly #hasHostStages: boolean;
  readonly #plans = new BoundedCache<PendingPlan>(plansKept);
  readonly #parts = new Map<number, number>();
  #latest: { readonly key: string; readonly plan: GpuPlan } | undefined;
  readonly #ended = new AbortController();
  /** Rejects what `settle` waits for. Not listeners of `ended`: Node warns of more than ten. */
  readonly #running = new Set<(error: DeviceError) => void>();

  constructor(
    { open, pipelines, constants, tuner }: SharedDevice,
    program: IntegerProgram,
    operators: OperatorRegistry,
  ) {
    this.open = open;
    this.program = program;
    this.operators = operators;
    this.pipelines = pipelines;
    this.constants = constants;
    this.tuner = tuner;
    this.#staging = new StagingRing(open.device);
    this.#hasHostStages = program.operations.some((each) => operators.of(each).stage === 'host');
    void open.lost.then((error) => this.end(error));
  }

  /** Aborted by `end`, with the error that runs in flight report. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Frees everything but the device; runs in flight reject with `error`. Idempotent. */
  end(error: DeviceError): void {
    if (this.ended.aborted) return;
    this.#ended.abort(error);
    for (const cutOff of this.#running) cutOff(error);
    this.#staging.dispose();
    this.#plans.dispose();
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
    const { memory, dispatches, tensors } = this.#plan(count, []);
    for (const [id, { bytes }] of tensors) {
      if (bytes > limits.maxStorageBufferBindingSize) {
        return `tensor "${this.program.tensors[id].name}" takes ${bytes} bytes, and a binding may have ${limits.maxStorageBufferBindingSize}`;
      }
    }
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

  /** What was planned last is not planned again: limits are checked on the plan that is then prepared. */
  #plan(batch: number, keep: readonly TensorId[]): GpuPlan {
    const key = `${this.tuner.revision}|${batch}|${keep.join()}`;
    if (this.#latest?.key !== key) {
      const choose = (candidates: Candidates) => this.tuner.choose(candidates);
      this.#latest = { key, plan: planExecution({ ...this.#request(batch), keep, choose }) };
    }
    return this.#latest.plan;
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
    const key = `${batch}|${kept.join()}`;
    const make = () => {
      const pending = new PendingPlan(this.#prepare(batch, kept, onProgress));
      pending.ready.catch(() => this.#plans.forget(key, pending));
      return pending;
    };
    return this.#plans.with(key, make, async ({ ready }) => use(await ready));
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
    const inputs = new PixelStages(device, this.program, prepared, this.pipelines);
    const dispose = () => {
      inputs.dispose();
      prepared.dispose();
    };
    if (this.ended.aborted) {
      dispose();
      throw this.ended.reason;
    }
    return { prepared, phases: phasesOf(prepared), inputs, turns: new Turns(), dispose };
  }

  /** Runs a part and hands each wanted tensor's bytes, valid only during the call, to `receive`. */
  async run(part: RunPart, receive: (tensor: TensorId, bytes: Uint8Array) => void): Promise<RunTimings> {
    return this.#withSlot((slot) =>
      this.withPlan(part.count, part.tensors, undefined, (plan) =>
        this.#runPhases({ plan, part, slot, receive }),
      ),
    );
  }

  /** Runs a part whose outputs are copied to `targets` (at the part's images) and stay on the GPU. */
  async runOnGpu(part: RunPart, targets: ReadonlyMap<TensorId, GPUBuffer>): Promise<RunTimings> {
    const run = (slot: StagingSlot | undefined) =>
      this.withPlan(part.count, part.tensors, undefined, (plan) =>
        this.#runPhases({ plan, part, slot, targets }),
      );
    return this.#hasHostStages ? this.#withSlot(run) : run(undefined);
  }

  async #withSlot<R>(use: (slot: StagingSlot) => Promise<R>): Promise<R> {
    const slot = await this.#staging.acquire();
    let broken = true;
    try {
      const result = await use(slot);
      broken = false;
      return result;
    } finally {
      slot.release(broken);
    }
  }

  async #runPhases(run: PlanRun): Promise<RunTimings> {
    const { plan, part } = run;
    const { phases, prepared } = plan;
    await plan.inputs.prepare(part.inputs);
    // While the host works, no other run may write over what later device stages read.
    const release = phases.length > 1 ? await plan.turns.take() : () => undefined;
    try {
      this.ended.throwIfAborted();
      const host = new ReferenceTensors(this.program.tensors, part.count);
      for (const { tensor } of this.program.inputs) {
        const input = part.inputs.get(tensor)!;
        if (input.kind !== 'reals') continue;
        const length = elementCount(this.program.tensors[tensor], 1);
        host
          .allocate(tensor)
          .set(input.data.subarray(part.first * length, (part.first + part.count) * length));
      }
      const timings = { uploadMs: 0, computeMs: 0, readbackMs: 0 };
      for (const phase of phases) {
        await this.#submit(phase, run, host, timings);
        if (phase === phases.at(-1)) release();
        if (!phase.host) continue;
        this.ended.throwIfAborted();
        const started = performance.now();
        const { from, to } = phase.host.operations;
        for (const { operation } of prepared.plan.operations.slice(from, to)) {
          host.run(operation, this.operators);
          this.ended.throwIfAborted();
        }
        timings.computeMs += performance.now() - started;
      }
      for (const id of part.tensors) {
        if (!prepared.plan.onHost.has(id)) continue;
        const { buffer } = host.get(id);
        const first = part.first * byteCount(this.program.tensors[id], 1);
        if (run.targets) this.open.device.queue.writeBuffer(run.targets.get(id)!, first, buffer);
        else run.receive(id, new Uint8Array(buffer));
      }
      return timings;
    } finally {
      release();
    }
  }

  /**
   * Queues a phase's device work and reads back what its host stage needs, and in the last phase the device's results. From the first write
   * to the submit nothing is awaited: runs share buffers, in queue order.
   */
  async #submit(
    phase: Phase,
    { plan, part, slot, targets, receive }: PlanRun,
    host: ReferenceTensors,
    timings: { uploadMs: number; computeMs: number; readbackMs: number },
  ): Promise<void> {
    const { device } = this.open;
    const { prepared } = plan;
    const results = phase.isLast ? part.tensors.filter((id) => !prepared.plan.onHost.has(id)) : [];
    const reads = [...new Set([...(phase.host?.reads ?? []), ...(receive ? results : [])])];
    const ranges = reads.map((id) => prepared.range(id));
    const total = ranges.reduce((bytes, { size }) => bytes + size, 0);

    const started = performance.now();
    const { staging, submitted, computed } = await guarded(device, 'running the model', async () => {
      const encoder = device.createCommandEncoder({ label: 'run' });
      const inputs = phase.isFirst ? plan.inputs.write(encoder, part) : [];
      for (const id of phase.uploads) {
        const { buffer, offset } = prepared.range(id);
        device.queue.writeBuffer(buffer, offset, host.get(id).buffer);
      }
      const pass = encoder.beginComputePass({ label: 'run' });
      encode(pass, inputs);
      encode(pass, phase.dispatches);
      pass.end();
      for (const id of targets ? results : []) {
        const { buffer, offset, size } = prepared.range(id);
        const first = part.first * byteCount(this.program.tensors[id], 1);
        encoder.copyBufferToBuffer(buffer, offset, targets!.get(id)!, first, size);
      }
      const staging = total > 0 ? slot!.buffer(total) : undefined;
      let to = 0;
      for (const { buffer, offset, size } of ranges) {
        encoder.copyBufferToBuffer(buffer, offset, staging!, to, size);
        to += size;
      }
      device.queue.submit([encoder.finish()]);
      const submitted = performance.now();
      if (!staging) return { staging, submitted, computed: submitted };
      const [computed] = await Promise.all([
        device.queue.onSubmittedWorkDone().then(() => performance.now()),
        staging.mapAsync(mapModeRead, 0, total),
      ]);
      return { staging, submitted, computed };
    });

    if (staging) {
      const mapped = staging.getMappedRange(0, total);
      const wanted = new Set(results);
      let offset = 0;
      for (const [index, { size }] of ranges.entries()) {
        const id = reads[index];
        const bytes = new Uint8Array(mapped, offset, size);
        if (phase.host?.reads.includes(id)) new Uint8Array(host.allocate(id).buffer).set(bytes);
        if (wanted.has(id)) receive?.(id, bytes);
        offset += size;
      }
      staging.unmap();
    }
    timings.uploadMs += submitted - started;
    timings.computeMs += computed - submitted;
    timings.readbackMs += performance.now() - computed;
  }
}

/** What is submitted at once: the dispatches of at most one device stage, and the host stage behind it. */
interface Phase {
  readonly isFirst: boolean;
  /** No device stage comes after it: the device's results are there. */
  readonly isLast: boolean;
  /** Results of the host stage before it that the device reads. */
  readonly uploads: readonly TensorId[];
  readonly dispatches: readonly PreparedDispatch[];
  readonly host: HostStage | undefined;
}

/** A run of a plan, whose results go to one of the two. */
type PlanRun = PlanRunOf &
  (
    | { readonly receive: (tensor: TensorId, bytes: Uint8Array) => void; readonly targets?: undefined }
    | { readonly targets: ReadonlyMap<TensorId, GPUBuffer>; readonly receive?: undefined }
  );

interface PlanRunOf {
  readonly plan: RunPlan;
  readonly part: RunPart;
  /** Undefined where nothing is read back. */
  readonly slot: StagingSlot | undefined;
}

function phasesOf({ plan: { stages }, dispatches }: PreparedPlan): Phase[] {
  const phases: Phase[] = [];
  let uploads: readonly TensorId[] = [];
  for (let index = 0; index < Math.max(1, stages.length);) {
    const [stage] = stages.slice(index);
    const device = stage?.kind === 'device' ? stage : undefined;
    const next = stages[device ? index + 1 : index];
    const host = next?.kind === 'host' ? next : undefined;
    const { from, to } = device?.dispatches ?? { from: 0, to: 0 };
    phases.push({
      isFirst: index === 0,
      isLast: false,
      uploads,
      dispatches: dispatches.slice(from, to),
      host,
    });
    uploads = host?.writes ?? [];
    index += (device ? 1 : 0) + (host ? 1 : 0) || 1;
  }
  phases.push({ ...phases.pop()!, isLast: true });
  return phases;
}

/** A plan that is being prepared, or is ready. */
class PendingPlan {
  readonly ready: Promise<RunPlan>;
  #plan: RunPlan | undefined;
  #disposed = false;

  constructor(ready: Promise<RunPlan>) {
    this.ready = ready;
    ready.then(
      (plan) => {
        this.#plan = plan;
        if (this.#disposed) plan.dispose();
      },
      () => undefined,
    );
  }

  /** One that is still being prepared is freed when it is. */
  dispose(): void {
    this.#disposed = true;
    this.#plan?.dispose();
  }
}

/** A queue of one. */
class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for its turn, which ends with the call of what it resolves to. */
  async take(): Promise<() => void> {
    const before = this.#last;
    let end: () => void = () => undefined;
    this.#last = new Promise((resolve) => (end = resolve));
    await before;
    return end;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
