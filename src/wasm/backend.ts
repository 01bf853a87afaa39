/** The WebAssembly backend: threads (or none), their kernels and one linear memory, shared by the sessions of several programs. */
import { DeviceError } from '../errors.ts';
import type { Backend } from '../schedule/session.ts';
import { createOperatorRegistry, type OperatorRegistry } from '../ops/registry.ts';
import type { WasmCapabilities } from '../ops/wasm-kernel.ts';
import type { IntegerProgram } from '../program/program.ts';
import { checkBatch } from '../schedule/session-input.ts';
import { ConstantStore } from './constants.ts';
import { loadEngine } from './engine.ts';
import { type Block, LinearMemory } from './memory.ts';
import { nextTask } from './next-task.ts';
import type { ChooseVariant } from './plan.ts';
import { createInlineExecutor, createThreadPool, type Executor } from './pool.ts';
import { ProgramSession, type WasmSession } from './session.ts';
import { threadCount } from './threads.ts';

/** Runs on the calling thread let other tasks through this often. */
const TASK_MS = 4;

export interface WasmBackendOptions {
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
  /** Takes other kernels than the default ones, for measurements and tests. */
  readonly chooseVariant?: ChooseVariant;
}

export interface WasmSessionOptions extends WasmBackendOptions {
  /** Batch sizes to plan, with their weights packed, before the first run. Default [1]. */
  readonly batches?: readonly number[];
}

export interface WasmBackend extends Backend {
  readonly name: 'wasm';
  readonly threads: number;
  session(program: IntegerProgram, isOnly?: boolean): WasmSession;
}

/**
 * Opens a backend of its own for one program. Disposing of the session ends its threads.
 * @throws {InputError} `threads` is not 1 to 256, a batch size not a positive integer, or `threads` more than 1 where memory cannot be shared
 * @throws {DeviceError} no SIMD, no memory, or no worker to be had
 */
export async function createWasmSession(
  program: IntegerProgram,
  options: WasmSessionOptions = {},
): Promise<WasmSession> {
  const { batches = [1], signal } = options;
  for (const batch of batches) checkBatch(batch, program.tensors);
  const backend = await openWasmBackend(options);
  const session = backend.session(program, true);
  try {
    await session.prepare(batches, { ...(signal && { signal }) });
    return session;
  } catch (error) {
    session.dispose();
    throw error;
  }
}

/**
 * @throws {InputError} `threads` is not 1 to 256, or more than 1 where memory cannot be shared
 * @throws {DeviceError} no SIMD, no memory, or no worker to be had
 */
export async function openWasmBackend(options: WasmBackendOptions = {}): Promise<WasmBackend> {
  const { operators = createOperatorRegistry(), signal, relaxedSimd = true, workerUrl } = options;
  const threads = threadCount(options.threads);
  signal?.throwIfAborted();
  const open = (count: number) => openExecutor(count, relaxedSimd, workerUrl, signal);
  const { capabilities, ...resources } = await open(threads).catch((error: unknown) => {
    // Threads that nobody asked for are only for speed, and may be ruled out: by a page's policy, by a script of another origin.
    if (options.threads !== undefined || threads === 1 || !(error instanceof DeviceError)) throw error;
    return open(1);
  });
  return new ThreadBackend(resources, operators, capabilities, options.chooseVariant);
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

/** What sessions work with until the backend is disposed of. */
export interface Resources {
  readonly executor: Executor;
  readonly memory: LinearMemory;
  readonly constants: ConstantStore;
  /** Activations of whichever plan runs, then each thread's scratch. */
  arena: Block | undefined;
}

export class ThreadBackend implements WasmBackend {
  readonly name = 'wasm';
  readonly adapter = null;
  readonly threads: number;
  readonly operators: OperatorRegistry;
  readonly capabilities: WasmCapabilities;
  readonly chooseVariant: ChooseVariant | undefined;
  readonly #sessions = new Set<ProgramSession>();
  /** Undefined once disposed of, so that whoever still holds the backend holds none of its memory. */
  #resources: Resources | undefined;
  #nextPlan = 0;
  /** When runs last let other tasks go first. */
  #lastTask = 0;
  /** Runs wait for each other: they share the threads and the arena. */
  #last: Promise<unknown> = Promise.resolve();
  /** Whether kernels have been run, and so compiled well by the engine. */
  isWarm = false;

  constructor(
    { executor, memory }: Pick<Opened, 'executor' | 'memory'>,
    operators: OperatorRegistry,
    capabilities: WasmCapabilities,
    chooseVariant: ChooseVariant | undefined,
  ) {
    this.threads = executor.threads;
    this.operators = operators;
    this.capabilities = capabilities;
    this.chooseVariant = chooseVariant;
    this.#resources = { executor, memory, constants: new ConstantStore(memory), arena: undefined };
  }

  /** Bytes of linear memory in use. */
  get memoryBytes(): number {
    return this.#resources?.memory.usedBytes ?? 0;
  }

  /** Undefined once disposed of. */
  get resources(): Resources | undefined {
    return this.#resources;
  }

  /** @param isOnly whether disposing of the session disposes of the backend */
  session(program: IntegerProgram, isOnly = false): WasmSession {
    const session: ProgramSession = new ProgramSession(program, this, () => {
      this.#sessions.delete(session);
      if (isOnly) this.dispose();
    });
    this.#sessions.add(session);
    return session;
  }

  /** A number for a plan that the executor does not know yet. */
  nextPlan(): number {
    return this.#nextPlan++;
  }

  /** Makes the arena as large as this. Plans hold addresses in it: those of every session are forgotten where it moves. */
  growArena(resources: Resources, bytes: number): void {
    if (resources.arena && resources.arena.bytes >= bytes) return;
    for (const session of this.#sessions) session.forgetPlans();
    if (resources.arena) resources.memory.release(resources.arena);
    resources.arena = undefined;
    resources.arena = resources.memory.allocate(bytes);
  }

  inTurn<T>(work: () => Promise<T>): Promise<T> {
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

  dispose(): void {
    const resources = this.#resources;
    if (!resources) return;
    this.#resources = undefined;
    resources.executor.dispose();
  }
}
