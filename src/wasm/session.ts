/** A program in the WebAssembly backend's memory: SIMD kernels, on one thread or several. */
import { DeviceError, InputError } from '../errors.ts';
import type {
  Session,
  SessionInput,
  SessionPlan,
  SessionProfile,
  SessionResult,
  SessionRunOptions,
} from '../schedule/session.ts';
import type { AsyncOptions } from '../progress.ts';
import type { ReferenceContext } from '../ops/operator.ts';
import type { WasmVariant } from '../ops/wasm-kernel.ts';
import {
  byteCount,
  elementCount,
  isHostTensor,
  type IntegerProgram,
  type Operation,
  type ProgramTensor,
  type TensorBuffer,
  tensorBuffer,
  type TensorId,
  type Window2d,
} from '../program/program.ts';
import { programConstantBytes } from '../schedule/constants.ts';
import type { PlannedOperation, Stage } from '../schedule/execution-plan.ts';
import { checkBatch, checkRun, writeInput } from '../schedule/session-input.ts';
import type { Resources, ThreadBackend } from './backend.ts';
import type { HeldConstant } from './constants.ts';
import type { PreparedCall } from './execute.ts';
import { type PackingJob, packWeights } from './packing.ts';
import { planWasm, prepareCalls, type WasmPlan } from './plan.ts';

/** Plans kept: each is a batch size and a choice of tensors to keep. */
const MAX_PLANS = 8;
/** The warm-up ends with the operation that reaches this time, and leaves out those of more work than this. */
const WARM_UP_MS = 250;
const WARM_UP_WORK = 2 ** 30;
/** Multiply-adds in the time that it takes to write a byte of memory that is not yet there. */
const WORK_PER_BYTE = 16;

/** What a session tells of itself, beside running. */
export interface WasmSession extends Session {
  readonly backend: 'wasm';
  readonly threads: number;
  /** Bytes of linear memory in use. */
  readonly memoryBytes: number;
}

interface PreparedPlan {
  /** Names it to the executor. */
  readonly id: number;
  readonly plan: WasmPlan;
  /** The plan's stages, a stage an operation: for profiles. */
  readonly operations: readonly Stage[];
  /** Of each operation. */
  readonly constants: readonly (readonly HeldConstant[])[];
  readonly addresses: ReadonlyMap<TensorId, number>;
}

export class ProgramSession implements WasmSession {
  readonly backend = 'wasm';
  readonly adapter = null;
  readonly #program: IntegerProgram;
  readonly #backend: ThreadBackend;
  readonly #onDispose: () => void;
  readonly #tensors: ReadonlyMap<TensorId, ProgramTensor>;
  /** In order of use, oldest first. */
  readonly #plans = new Map<string, PreparedPlan>();
  readonly #made = new Map<string, WasmPlan>();
  #disposed = false;

  constructor(program: IntegerProgram, backend: ThreadBackend, onDispose: () => void) {
    this.#program = program;
    this.#backend = backend;
    this.#onDispose = onDispose;
    this.#tensors = new Map(program.tensors.map((tensor) => [tensor.id, tensor]));
  }

  get threads(): number {
    return this.#backend.threads;
  }

  get memoryBytes(): number {
    return this.#backend.memoryBytes;
  }

  /**
   * Plans these batch sizes and packs their weights, then runs kernels of the first once, on whatever the memory
   * holds: the engine compiles them well only once they are used, and the first run should be as fast as the next.
   */
  prepare(batches: readonly number[], { signal }: AsyncOptions = {}): Promise<void> {
    return this.#backend.inTurn(async () => {
      for (const batch of batches) {
        signal?.throwIfAborted();
        const prepared = await this.#prepare(batch, [], signal);
        if (this.#backend.isWarm) continue;
        this.#backend.isWarm = true;
        await this.#warmUp(prepared, signal);
      }
      signal?.throwIfAborted();
    });
  }

  /** Layers share their kernels: those that would take long, of a file that may be hostile, are left out. */
  async #warmUp(prepared: PreparedPlan, signal: AbortSignal | undefined): Promise<void> {
    const end = performance.now() + WARM_UP_MS;
    for (const [i, stage] of prepared.operations.entries()) {
      // References may be a user's own and want sensible values.
      if (stage.kind === 'host' || this.#workOf(prepared.plan.operations[i], prepared.plan) > WARM_UP_WORK) {
        continue;
      }
      await this.#runStage(stage, prepared, signal);
      signal?.throwIfAborted();
      if (performance.now() > end) break;
    }
  }

  /** Multiply-adds of an operation (of a pool: values looked at), and what writing its results costs in them. */
  #workOf({ operation, variant }: PlannedOperation<WasmVariant>, { batch }: WasmPlan): number {
    const output = this.#tensor(operation.output);
    const { kernel = [1, 1] } = operation as Partial<Window2d>;
    const looks = elementCount(output, batch) * kernel[0] * kernel[1];
    const macs = batch * this.#backend.operators.of(operation).macs(operation, (id) => this.#tensor(id));
    const bytes = (variant?.workspaces ?? []).reduce((sum, size) => sum + size, byteCount(output, batch));
    return Math.max(looks, macs) + bytes * WORK_PER_BYTE;
  }

  plan(batch: number): Promise<SessionPlan> {
    // A wrong batch rejects, as it does in the other sessions.
    return Promise.resolve().then(() => {
      checkBatch(batch, this.#program.tensors);
      return { plan: this.#planOf(batch, []), constantBytes: programConstantBytes(this.#program) };
    });
  }

  /** Made once: plans stay when their constants and calls have gone. */
  #planOf(batch: number, keep: readonly TensorId[]): WasmPlan {
    const key = planKey(batch, keep);
    const plan = this.#made.get(key) ?? this.#makePlan(batch, keep);
    this.#made.delete(key);
    this.#made.set(key, plan);
    if (this.#made.size > MAX_PLANS) this.#made.delete(this.#made.keys().next().value!);
    return plan;
  }

  run(inputs: ReadonlyMap<TensorId, SessionInput>, options: SessionRunOptions): Promise<SessionResult> {
    return this.#backend.inTurn(() => this.#run(inputs, options));
  }

  profile(batch: number, repetitions: number, { signal }: AsyncOptions = {}): Promise<SessionProfile> {
    return this.#backend.inTurn(async () => {
      this.#open();
      const prepared = await this.#prepare(batch, [], signal);
      const samples: number[][] = prepared.operations.map(() => []);
      // Whatever the memory holds will do for values, but for real ones; the first round is to warm up.
      for (let repetition = 0; repetition <= repetitions; repetition++) {
        for (const { tensor } of this.#program.inputs) {
          if (isHostTensor(this.#tensor(tensor))) this.#buffer(prepared, tensor).fill(0);
        }
        for (const [i, stage] of prepared.operations.entries()) {
          const start = performance.now();
          await this.#runStage(stage, prepared, signal);
          if (repetition > 0) samples[i].push(performance.now() - start);
          signal?.throwIfAborted();
        }
      }
      return { method: 'clock', samples, peak: {} } as const;
    });
  }

  async #run(
    inputs: ReadonlyMap<TensorId, SessionInput>,
    { batch, signal, tensors: asked = [] }: SessionRunOptions,
  ): Promise<SessionResult> {
    this.#open();
    signal?.throwIfAborted();
    checkRun(this.#program, inputs, batch);
    for (const id of asked) this.#tensor(id);
    const start = performance.now();
    const prepared = await this.#prepare(batch, asked, signal);
    for (const { tensor } of this.#program.inputs) {
      writeInput(this.#tensor(tensor), inputs.get(tensor)!, this.#buffer(prepared, tensor));
    }
    const uploaded = performance.now();
    for (const stage of prepared.plan.stages) {
      await this.#runStage(stage, prepared, signal);
      signal?.throwIfAborted();
    }
    const computed = performance.now();
    const kept = new Set([...this.#program.outputs.map(({ tensor }) => tensor), ...asked]);
    const tensors = new Map<TensorId, TensorBuffer>();
    // A copy of its own, never of shared memory.
    for (const id of kept) {
      const copy = tensorBuffer(this.#tensor(id), batch);
      copy.set(this.#buffer(prepared, id));
      tensors.set(id, copy);
    }
    const timings = {
      uploadMs: uploaded - start,
      computeMs: computed - uploaded,
      readbackMs: performance.now() - computed,
    };
    return { tensors, timings };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.forgetPlans();
    this.#onDispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #open(): Resources {
    const { resources } = this.#backend;
    if (this.#disposed || !resources)
      throw new DeviceError('the session has been disposed of: load the model again');
    return resources;
  }

  #tensor(id: TensorId): ProgramTensor {
    const tensor = this.#tensors.get(id);
    if (!tensor) throw new InputError(`the program has no tensor ${id}`);
    return tensor;
  }

  #buffer({ plan, addresses }: PreparedPlan, id: TensorId): TensorBuffer {
    const tensor = this.#tensor(id);
    return tensorBuffer(tensor, plan.batch, this.#open().memory.memory.buffer, addresses.get(id));
  }

  async #runStage(stage: Stage, prepared: PreparedPlan, signal: AbortSignal | undefined): Promise<void> {
    if (stage.kind === 'device') {
      const { from, to } = stage.dispatches;
      await this.#open().executor.run(prepared.id, from, to);
    } else {
      const { from, to } = stage.operations;
      for (const { operation } of prepared.plan.operations.slice(from, to)) {
        this.#runReference(operation, prepared);
        this.#open();
        signal?.throwIfAborted();
      }
    }
    this.#open();
  }

  #runReference(operation: Operation, prepared: PreparedPlan): void {
    const context: ReferenceContext = {
      batch: prepared.plan.batch,
      tensor: (id) => this.#tensor(id),
      buffer: (id) => this.#buffer(prepared, id),
    };
    this.#backend.operators.of(operation).reference(operation, context);
  }

  /** The plan for a batch size with constants and arena in memory, from the cache or new. */
  async #prepare(
    batch: number,
    asked: readonly TensorId[],
    signal: AbortSignal | undefined,
  ): Promise<PreparedPlan> {
    checkBatch(batch, this.#program.tensors);
    const keep = [...new Set(asked)].sort((a, b) => a - b);
    const key = planKey(batch, keep);
    const known = this.#plans.get(key);
    if (known) {
      this.#plans.delete(key);
      this.#plans.set(key, known);
      return known;
    }
    const plan = this.#planOf(batch, keep);
    const resources = this.#open();
    // Its constants first, so that those it shares with plans that go are not packed again.
    const constants: HeldConstant[][] = [];
    const toPack: PackingJob[] = [];
    try {
      for (const { operation, variant } of plan.operations) {
        const own: HeldConstant[] = [];
        constants.push(own);
        for (const constant of variant?.constants ?? []) {
          const held = resources.constants.acquire(operation, constant);
          own.push(held);
          if (held.toPack) toPack.push({ packing: held.toPack, address: held.address });
        }
      }
      await packWeights(resources, toPack, this.#backend.nextPlan(), () => {
        this.#open();
        signal?.throwIfAborted();
      });
      this.#backend.growArena(
        resources,
        plan.memory.peakBytes + SCRATCH_SLACK + this.threads * scratchStride(plan),
      );
    } catch (error) {
      for (const constant of constants.flat()) constant.release();
      throw error;
    }
    while (this.#plans.size >= MAX_PLANS) this.#forget(this.#plans.keys().next().value!);
    const prepared = this.#place(resources, plan, constants);
    this.#plans.set(key, prepared);
    return prepared;
  }

  #makePlan(batch: number, keep: readonly TensorId[]): WasmPlan {
    const { operators, capabilities, chooseVariant } = this.#backend;
    return planWasm({
      program: this.#program,
      operators,
      capabilities,
      batch,
      keep,
      ...(chooseVariant && { choose: chooseVariant }),
    });
  }

  #place(resources: Resources, plan: WasmPlan, constants: PreparedPlan['constants']): PreparedPlan {
    const id = this.#backend.nextPlan();
    const base = resources.arena!.address;
    const addresses = new Map(plan.memory.allocations.map((place) => [place.id, base + place.offset]));
    const calls: PreparedCall[] = [];
    const operations = plan.operations.map(({ variant, workspaces }, i): Stage => {
      const alone = { from: i, to: i + 1 };
      if (!variant) return { kind: 'host', operations: alone, reads: [], writes: [] };
      const from = calls.length;
      calls.push(
        ...prepareCalls(variant, {
          tensor: (tensor) => addresses.get(tensor)!,
          constant: (index) => constants[i][index].address,
          workspace: (index) => addresses.get(workspaces[index])!,
        }),
      );
      return { kind: 'device', operations: alone, dispatches: { from, to: calls.length } };
    });
    const scratch = base + Math.ceil(plan.memory.peakBytes / SCRATCH_SLACK) * SCRATCH_SLACK;
    const scratchAddresses = Array.from(
      { length: this.threads },
      (_, thread) => scratch + thread * scratchStride(plan),
    );
    resources.executor.prepare(id, calls, scratchAddresses);
    return { id, plan, operations, constants, addresses };
  }

  /** Lets go of all that is prepared. */
  forgetPlans(): void {
    for (const key of [...this.#plans.keys()]) this.#forget(key);
  }

  #forget(key: string): void {
    const { id, constants } = this.#plans.get(key)!;
    this.#plans.delete(key);
    // With the backend its memory and threads have gone.
    if (!this.#backend.resources) return;
    this.#backend.resources.executor.forget(id);
    for (const constant of constants.flat()) constant.release();
  }
}

function planKey(batch: number, keep: readonly TensorId[]): string {
  return `${batch}:${keep.join()}`;
}

/** A cache line: threads' scratch memories do not share one. */
const SCRATCH_SLACK = 64;

function scratchStride(plan: WasmPlan): number {
  return Math.ceil(plan.scratchBytes / SCRATCH_SLACK) * SCRATCH_SLACK;
}
