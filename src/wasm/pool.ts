/** The threads of a session, and the same face for a session without any. */
import { platform } from '#platform';
import { DeviceError } from '../errors.ts';
import type { WorkerThread } from '../platform/platform.ts';
import workerSource from './build/worker-source.ts';
import {
  bindCalls,
  type BoundCall,
  executeAlone,
  type Kernels,
  type PreparedCall,
  resetTickets,
} from './execute.ts';
import type { FromWorker, ToWorker } from './worker.ts';

/** Runs prepared calls. One run at a time. */
export interface Executor {
  readonly threads: number;
  /** @param scratchAddresses one a thread */
  prepare(plan: number, calls: readonly PreparedCall[], scratchAddresses: readonly number[]): void;
  /** Calls `from` to `to` − 1 of a plan. */
  run(plan: number, from: number, to: number): Promise<void>;
  forget(plan: number): void;
  /** Ends the threads; a run in flight rejects with a DeviceError. */
  dispose(): void;
}

/** All work on the calling thread. */
export async function createInlineExecutor(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<Executor> {
  // Not the constructor: older Chromes allow a page's main thread no more than 4 kB of it.
  const instance = await WebAssembly.instantiate(module, { env: { memory } });
  const kernels = instance.exports as Kernels;
  const plans = new Map<number, readonly BoundCall[]>();
  return {
    threads: 1,
    prepare: (plan, calls, [scratchAddress]) => plans.set(plan, bindCalls(calls, kernels, scratchAddress)),
    run(plan, from, to) {
      // Taken now: the session may be disposed of before the work's turn comes.
      const calls = plans.get(plan)!;
      return Promise.resolve().then(() => executeAlone(calls, from, to));
    },
    forget: (plan) => plans.delete(plan),
    dispose: () => plans.clear(),
  };
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * `threads` workers over one shared memory. The calling thread only waits for their messages: it may be a page's main thread, which
 * must not block.
 *
 * @param workerUrl where the page serves the worker's script, if its policy forbids scripts from memory
 * @throws {DeviceError} a worker cannot be started
 */
export async function createThreadPool(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  threads: number,
  workerUrl?: string | URL,
): Promise<Executor> {
  const control = new Int32Array(memory.buffer);
  const workers: WorkerThread[] = [];
  let broken: DeviceError | undefined;
  let waiting: Waiter | undefined;
  let toStart = threads;

  function finish(): void {
    const waiter = waiting;
    waiting = undefined;
    for (const worker of workers) worker.unref?.();
    waiter?.resolve();
  }

  function fail(error: DeviceError): void {
    broken ??= error;
    for (const worker of workers) worker.terminate();
    const waiter = waiting;
    waiting = undefined;
    waiter?.reject(broken);
  }

  function heard(message: FromWorker): void {
    switch (message.kind) {
      case 'started':
        if (--toStart === 0) finish();
        break;
      case 'done':
        finish();
        break;
      case 'failed':
        fail(
          new DeviceError(
            `a worker thread of the wasm backend failed: ${message.message}; load the model again`,
          ),
        );
        break;
    }
  }

  const post = (message: ToWorker) => {
    for (const worker of workers) worker.postMessage(message);
  };
  const waitFor = (start: () => void) =>
    new Promise<void>((resolve, reject) => {
      if (broken) throw broken;
      waiting = { resolve, reject };
      start();
      // An idle pool keeps no process alive.
      for (const worker of workers) worker.ref?.();
    });
  // A policy of the page may forbid workers, and the system may have no more threads to give.
  const startWorker = (): WorkerThread => {
    try {
      return platform.startWorker(workerSource, workerUrl);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DeviceError(
        `worker thread ${workers.length + 1} of ${threads} of the wasm backend could not be started: ${why}; load the model with fewer threads`,
        { cause },
      );
    }
  };

  const started = waitFor(() => {
    for (let i = 0; i < threads; i++) {
      const worker = startWorker();
      worker.addEventListener('message', ({ data }) => heard(data as FromWorker));
      worker.addEventListener('error', ({ message = 'it could not be started' }) =>
        fail(new DeviceError(`a worker thread of the wasm backend died: ${message}; load the model again`)),
      );
      workers.push(worker);
    }
    post({ kind: 'start', module, memory, threads });
  });
  try {
    await started;
  } catch (error) {
    // Those that did start.
    for (const worker of workers) worker.terminate();
    throw error;
  }

  return {
    threads,
    prepare(plan, calls, scratchAddresses) {
      workers.forEach((worker, i) => {
        const message: ToWorker = { kind: 'prepare', plan, calls, scratchAddress: scratchAddresses[i] };
        worker.postMessage(message);
      });
    },
    run: (plan, from, to) =>
      waitFor(() => {
        resetTickets(control, to);
        post({ kind: 'run', plan, from, to });
      }),
    forget: (plan) => post({ kind: 'forget', plan }),
    dispose: () => fail(new DeviceError('the session has been disposed of: load the model again')),
  };
}
