/** Node's worker threads with a browser Worker's face. */
import { Worker } from 'node:worker_threads';
import type { WorkerThread } from '../platform.ts';

export class NodeWorker implements WorkerThread {
  readonly #worker: Worker;
  #ended = false;

  constructor(url: URL) {
    // No loaders: what is started is JavaScript.
    this.#worker = new Worker(url, { execArgv: [] });
  }

  addEventListener(
    type: 'message' | 'error',
    listener: (event: { readonly data: unknown; readonly message?: string }) => void,
  ): void {
    if (type === 'message') {
      this.#worker.on('message', (data) => listener({ data }));
      return;
    }
    this.#worker.on('error', (error) => listener({ data: undefined, message: error.message }));
    this.#worker.on('exit', (code) => {
      if (!this.#ended) listener({ data: undefined, message: `it ended with code ${code}` });
    });
  }

  postMessage(message: unknown): void {
    this.#worker.postMessage(message);
  }

  terminate(): void {
    this.#ended = true;
    void this.#worker.terminate();
  }

  ref(): void {
    this.#worker.ref();
  }

  unref(): void {
    this.#worker.unref();
  }
}
