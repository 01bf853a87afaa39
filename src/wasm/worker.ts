/**
 * One thread of the pool. Built into build/worker.js by scripts/build-wasm.ts: Node cannot start TypeScript, and one file serves Node
 * and browsers.
 */
import { bindCalls, type BoundCall, executeTogether, type Kernels, type PreparedCall } from './execute.ts';

/** What the pool tells a thread. */
export type ToWorker =
  | {
      readonly kind: 'start';
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      readonly threads: number;
    }
  | {
      readonly kind: 'prepare';
      readonly plan: number;
      readonly calls: readonly PreparedCall[];
      readonly scratchAddress: number;
    }
  | { readonly kind: 'forget'; readonly plan: number }
  | { readonly kind: 'run'; readonly plan: number; readonly from: number; readonly to: number };

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

function handle(message: ToWorker): void {
  switch (message.kind) {
    case 'start': {
      const { module, memory } = message;
      kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
      control = new Int32Array(memory.buffer);
      threads = message.threads;
      port.postMessage({ kind: 'started' });
      break;
    }
    case 'prepare':
      plans.set(message.plan, bindCalls(message.calls, kernels, message.scratchAddress));
      break;
    case 'forget':
      plans.delete(message.plan);
      break;
    case 'run': {
      const calls = plans.get(message.plan)!;
      if (executeTogether(calls, message.from, message.to, threads, control))
        port.postMessage({ kind: 'done' });
      break;
    }
  }
}

port.addEventListener('message', ({ data }) => {
  try {
    handle(data);
  } catch (error) {
    port.postMessage({ kind: 'failed', message: String(error) });
  }
});
port.start?.();
