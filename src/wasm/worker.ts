/**
 * One thread of the pool. Built into build/worker.js by scripts/build-wasm.ts: Node cannot start TypeScript, and one file serves Node
 * and browsers.
 */
import {
  bindCalls,
  type BoundCall,
  executeRuns,
  type Kernels,
  type PreparedCall,
  type Progress,
} from './execute.ts';

/** What the pool tells a thread. */
export type ToWorker =
  | {
      readonly kind: 'start';
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      readonly threads: number;
      /** Number of this one. */
      readonly thread: number;
    }
  | {
      readonly kind: 'prepare';
      readonly plan: number;
      readonly calls: readonly PreparedCall[];
      readonly scratchAddress: number;
    }
  | { readonly kind: 'forget'; readonly plan: number }
  /** A run has begun: the memory says which. */
  | { readonly kind: 'wake' };

/** What a thread tells the pool. A run is `done` when the last thread has finished. */
export type FromWorker =
  | { readonly kind: 'started' }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly message: string };

/** The worker's end of its channel, in Node and in browsers. */
interface Port {
  postMessage(message: FromWorker): void;
  addEventListener(type: 'message', listener: (event: { readonly data: ToWorker }) => void): void;
  start?(): void;
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:worker_threads'): { readonly parentPort: Port | null };
}

const { process } = globalThis as { process?: NodeProcess };
const port: Port = process?.getBuiltinModule?.('node:worker_threads').parentPort ?? globalThis;

const plans = new Map<number, readonly BoundCall[]>();
let kernels: Kernels = {};
let control: Int32Array = new Int32Array(0);
let threads = 0;
let thread = 0;
const progress: Progress = { messages: 0, runs: 0 };
const done = () => port.postMessage({ kind: 'done' });

function handle(message: ToWorker): void {
  switch (message.kind) {
    case 'start': {
      const { module, memory } = message;
      kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
      control = new Int32Array(memory.buffer);
      ({ threads, thread } = message);
      port.postMessage({ kind: 'started' });
      break;
    }
    case 'prepare':
      plans.set(message.plan, bindCalls(message.calls, kernels, message.scratchAddress));
      break;
    case 'forget':
      plans.delete(message.plan);
      break;
  }
}

port.addEventListener('message', ({ data }) => {
  try {
    handle(data);
    if (data.kind !== 'wake') progress.messages++;
    executeRuns(plans, threads, thread, control, progress, done);
  } catch (error) {
    port.postMessage({ kind: 'failed', message: String(error) });
  }
});
port.start?.();
