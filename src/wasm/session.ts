/** The WebAssembly backend: SIMD kernels over one linear memory, on one thread or several. */
import { platform } from '#platform';
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
import { createOperatorRegistry, type OperatorRegistry } from '../ops/registry.ts';
import type { WasmCapabilities, WasmConstant, WasmVariant } from '../ops/wasm-kernel.ts';
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
import { loadEngine } from './engine.ts';
import type { PreparedCall } from './execute.ts';
import { type Block, LinearMemory } from './memory.ts';
import { nextTask } from './next-task.ts';
import { type PackingJob, packWeights } from './packing.ts';
import { type ChooseVariant, planWasm, prepareCalls, type WasmPlan } from './plan.ts';
import { createInlineExecutor, createThreadPool, type Executor } from './pool.ts';

/** More threads than this share a layer in pieces too small to pay. */
const MAX_DEFAULT_THREADS = 8;
/** More than this are a mistake, and would take the machine down before a worker could not be started. */
const MAX_THREADS = 256;
/** Runs on the calling thread let other tasks through this often. */
const TASK_MS = 4;
/** Plans kept: each is a batch size and a choice of tensors to keep. */
const MAX_PLANS = 8;
/** The warm-up ends with the operation that reaches this time, and leaves out those of more work than this. */
const WARM_UP_MS = 250;
const WARM_UP_WORK = 2 ** 30;
/** Multiply-adds in the time that it takes to write a byte of memory that is not yet there. */
const WORK_PER_BYTE = 16;

export interface WasmSessionOptions {
  /**
   * Threads, each a worker. Default: the machine's cores, at most 8, where memory may be shared (Node; a cross-origin isolated page), else
   * 1; and 1 where no worker can be started. With 1 all work is done by the caller's thread.
   */
  readonly threads?: number;
  /** Address of the threads' script (`octetjs/worker`), for pages whose policy forbids workers from `blob:` addresses. */
  readonly workerUrl?: string | URL;
  readonly operators?: OperatorRegistry;
  readonly signal?: AbortSignal;
  /** False keeps to instructions that every engine defines alike; the bytes are the same. Default true. */
  readonly relaxedSimd?: boolean;
  /** Batch sizes to plan, with their weights packed, before the first run. Default [1]. */
  readonly batches?: readonly number[];
  /** Takes other kernels than the default ones, for measurements and tests. */
  readonly chooseVariant?: ChooseVariant;
}

/** What a session tells of itself, beside running. */
export interface WasmSession extends Session {
  readonly backend: 'wasm';
  readonly threads: number;
  /** Bytes of linear memory in use. */
  readonly memoryBytes: number;
}

/**
 * @throws {InputError} `threads` is not 1 to 256, a batch size not a positive integer, or `threads` more than 1 where memory cannot be shared
 * @throws {DeviceError} no SIMD, no memory, or no worker to be had
 */
export async function createWasmSession(
  program: IntegerProgram,
  options: WasmSessionOptions = {},
): Promise<WasmSession> {
  const { operators = createOperatorRegistry(), signal, relaxedSimd = true, chooseVariant } = options;
  const { batches = [1], workerUrl } = options;
  for (const batch of batches) checkBatch(batch, program.tensors);
  const threads = threadCount(options.threads);
  signal?.throwIfAborted();
  const open = (count: number) => openExecutor(count, relaxedSimd, workerUrl, signal);
  const { executor, memory, capabilities } = await open(threads).catch((error: unknown) => {
    // Threads that nobody asked for are only for speed, and may be ruled out: by a page's policy, by a script of another origin.
    if (options.threads !== undefined || threads === 1 || !(error instanceof DeviceError)) throw error;
    return open(1);
  });
  const request = { program, operators, capabilities, ...(chooseVariant && { choose: chooseVariant }) };
  const session = new ProgramSession(program, operators, executor, memory, (batch, keep) =>
    planWasm({ ...request, batch, keep }),
  );
  try {
    await session.prepare(batches, signal);
    return session;
  } catch (error) {
    session.dispose();
    throw error;
  }
}

/** Loads the kernels that a session of so many threads will run. */
export async function preloadKernels(threads: number | undefined): Promise<void> {
  await loadEngine({ shared: threadCount(threads) > 1, relaxed: true });
}

interface Opened {
  readonly executor: Executor;
  readonly memory: LinearMemory;
  readonly capabilities: WasmCapabilities;
}

async function openExecutor(
  threads: number,
  relaxed: boolean,
  workerUrl: string | URL | undefined,
  signal: AbortSignal | undefined,
): Promise<Opened> {
  const { module, capabilities } = await loadEngine({ shared: threads > 1, relaxed });
  signal?.throwIfAborted();
  const memory = new LinearMemory(threads > 1);
  const executor =
    threads > 1
      ? await createThreadPool(module, memory.memory, threads, workerUrl)
      : await createInlineExecutor(module, memory.memory);
  return { executor, memory, capabilities };
}

function threadCount(asked: number | undefined): number {
  if (asked === undefined) {
    return platform.sharesMemory ? Math.min(platform.cores, MAX_DEFAULT_THREADS) : 1;
  }
  if (!Number.isSafeInteger(asked) || asked < 1 || asked > MAX_THREADS) {
    throw new InputError(`threads must be an integer from 1 to ${MAX_THREADS}, got ${asked}`);
  }
  if (asked > 1 && !platform.sharesMemory) {
    throw new InputError(
      `${asked} threads need shared memory: serve the page cross-origin isolated (COOP same-origin, COEP require-corp), or leave threads at 1`,
    );
  }
  return asked;
}

interface PreparedPlan {
  /** Names it to the executor. */
  readonly id: number;
  readonly plan: WasmPlan;
  /** The plan's stages, a stage an operation: for profiles. */
  readonly operations: readonly Stage[];
  readonly constants: readonly string[];
  readonly addresses: ReadonlyMap<TensorId, number>;
}

/** What a session works with until it is disposed of. */
interface Resources {
  readonly executor: Executor;
  readonly memory: LinearMemory;
  readonly constants: ConstantStore;
  /** Activations of whichever plan runs, then each thread's scratch. */
  arena: Block | undefined;
}

class ProgramSession implements WasmSession {
  readonly backend = 'wasm';
  readonly adapter = null;
  readonly threads: number;
  readonly #program: IntegerProgram;
  readonly #operators: OperatorRegistry;
  readonly #makePlan: (batch: number, keep: readonly TensorId[]) => WasmPlan;
  readonly #tensors: ReadonlyMap<TensorId, ProgramTensor>;
  /** In order of use, oldest first. */
  readonly #plans = new Map<string, PreparedPlan>();
  readonly #made = new Map<string, WasmPlan>();
  /** Undefined once disposed of, so that whoever still holds the session holds none of its memory. */
  #resources: Resources | undefined;
  #nextPlan = 0;
  /** When runs last let other tasks go first. */
  #lastTask = 0;
  /** Runs wait for each other: they share the arena. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    program: IntegerProgram,
    operators: OperatorRegistry,
    executor: Executor,
    memory: LinearMemory,
    makePlan: (batch: number, keep: readonly TensorId[]) => WasmPlan,
  ) {
    this.threads = executor.threads;
    this.#program = program;
    this.#operators = operators;
    this.#resources = { executor, memory, constants: new ConstantStore(memory), arena: undefined };
    this.#makePlan = makePlan;
    this.#tensors = new Map(program.tensors.map((tensor) => [tensor.id, tensor]));
  }

  get memoryBytes(): number {
    return this.#resources?.memory.usedBytes ?? 0;
  }

  /**
   * Plans these batch sizes and packs their weights, then runs kernels of the first once, on whatever the memory
   * holds: the engine compiles them well only once they are used, and the first run should be as fast as the next.
   */
  async prepare(batches: readonly number[], signal: AbortSignal | undefined): Promise<void> {
    for (const [index, batch] of batches.entries()) {
      signal?.throwIfAborted();
      const prepared = await this.#prepare(batch, [], signal);
      if (index === 0) await this.#warmUp(prepared, signal);
    }
    signal?.throwIfAborted();
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
    const macs = batch * this.#operators.of(operation).macs(operation, (id) => this.#tensor(id));
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
    return this.#inTurn(() => this.#run(inputs, options));
  }

  profile(batch: number, repetitions: number, { signal }: AsyncOptions = {}): Promise<SessionProfile> {
    return this.#inTurn(async () => {
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

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      // Runs on the calling thread are made of microtasks: without this, no abort and no dispose would come through between them.
      if (this.threads === 1 && performance.now() - this.#lastTask > TASK_MS) {
        await nextTask();
        this.#lastTask = performance.now();
      }
      return work();
    });
    this.#last = result.catch(() => undefined);
    return result;
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
    this.#resources?.executor.dispose();
    this.#resources = undefined;
    this.#plans.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #open(): Resources {
    if (!this.#resources) throw new DeviceError('the session has been disposed of: load the model again');
    return this.#resources;
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
    this.#operators.of(operation).reference(operation, context);
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
    const constants: string[] = [];
    const toPack: PackingJob[] = [];
    try {
      plan.operations.forEach(({ variant }, i) => {
        for (const constant of variant?.constants ?? []) {
          const name = resources.constants.nameOf(i, constant);
          const job = resources.constants.acquire(name, constant);
          if (job) toPack.push(job);
          constants.push(name);
        }
      });
      await packWeights(resources, toPack, this.#nextPlan++, () => {
        this.#open();
        signal?.throwIfAborted();
      });
      this.#growArena(resources, plan);
    } catch (error) {
      for (const name of constants) resources.constants.release(name);
      throw error;
    }
    while (this.#plans.size >= MAX_PLANS) this.#forget(resources, this.#plans.keys().next().value!);
    const prepared = this.#place(resources, plan, constants);
    this.#plans.set(key, prepared);
    return prepared;
  }

  #growArena(resources: Resources, plan: WasmPlan): void {
    const bytes = plan.memory.peakBytes + SCRATCH_SLACK + this.threads * scratchStride(plan);
    if (resources.arena && resources.arena.bytes >= bytes) return;
    // Prepared plans hold addresses in the old arena.
    for (const key of [...this.#plans.keys()]) this.#forget(resources, key);
    if (resources.arena) resources.memory.release(resources.arena);
    resources.arena = undefined;
    resources.arena = resources.memory.allocate(bytes);
  }

  #place(resources: Resources, plan: WasmPlan, constants: readonly string[]): PreparedPlan {
    const id = this.#nextPlan++;
    const base = resources.arena!.address;
    const addresses = new Map(plan.memory.allocations.map((place) => [place.id, base + place.offset]));
    const calls: PreparedCall[] = [];
    const operations = plan.operations.map(({ variant, workspaces }, i): Stage => {
      const alone = { from: i, to: i + 1 };
      if (!variant) return { kind: 'host', operations: alone, reads: [], writes: [] };
      const from = calls.length;
      calls.push(...this.#callsOf(resources.constants, i, variant, workspaces, addresses));
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

  #callsOf(
    constants: ConstantStore,
    index: number,
    variant: WasmVariant,
    workspaces: readonly TensorId[],
    addresses: ReadonlyMap<TensorId, number>,
  ): PreparedCall[] {
    return prepareCalls(variant, {
      tensor: (id) => addresses.get(id)!,
      constant: (i) => constants.addressOf(constants.nameOf(index, variant.constants[i])),
      workspace: (i) => addresses.get(workspaces[i])!,
    });
  }

  #forget({ executor, constants: store }: Resources, key: string): void {
    const { id, constants } = this.#plans.get(key)!;
    this.#plans.delete(key);
    executor.forget(id);
    for (const name of constants) store.release(name);
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

/** Prepacked weights and tables in linear memory, shared by every plan that names the same key. */
class ConstantStore {
  readonly #memory: LinearMemory;
  readonly #entries = new Map<string, { readonly block: Block; users: number }>();

  /** Numbers of the objects that shared constants are made of. */
  readonly #sources = new Map<object, number>();

  constructor(memory: LinearMemory) {
    this.#memory = memory;
  }

  /** @param operation index of the one that the constant belongs to */
  nameOf(operation: number, { key, of }: WasmConstant): string {
    if (!of) return `${operation}:${key}`;
    let id = this.#sources.get(of);
    if (id === undefined) this.#sources.set(of, (id = this.#sources.size));
    return `shared ${id}:${key}`;
  }

  /** @returns what is to be done, where the constant is new and a kernel packs it */
  acquire(key: string, { data, packing }: WasmConstant): PackingJob | undefined {
    const known = this.#entries.get(key);
    if (known) {
      known.users++;
      return undefined;
    }
    if (packing) {
      const block = this.#memory.allocate(packing.bytes);
      this.#entries.set(key, { block, users: 1 });
      return { packing, address: block.address };
    }
    const values = data();
    const block = this.#memory.allocate(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#memory.bytesAt(block.address, values.byteLength).set(bytes);
    this.#entries.set(key, { block, users: 1 });
    return undefined;
  }

  addressOf(key: string): number {
    return this.#entries.get(key)!.block.address;
  }

  release(key: string): void {
    const entry = this.#entries.get(key)!;
    if (--entry.users > 0) return;
    this.#memory.release(entry.block);
    this.#entries.delete(key);
  }
}
