/** Cancelling across a worker's border: signals cannot be sent, job numbers can. */
let lastJob = 0;

/** Page side: runs `call` under a new job number, and tells the worker when `signal` aborts. */
export async function asJob<T>(
  worker: { abort(job: number): unknown },
  signal: AbortSignal | undefined,
  call: (job: number) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const job = ++lastJob;
  const abort = () => void worker.abort(job);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await call(job);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Worker side: the jobs that are running. */
export class Jobs {
  readonly #running = new Map<number, AbortController>();

  async run<T>(job: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    this.#running.set(job, controller);
    try {
      return await work(controller.signal);
    } finally {
      this.#running.delete(job);
    }
  }

  abort(job: number): void {
    this.#running.get(job)?.abort();
  }

  abortOthers(job: number): void {
    for (const [other, controller] of this.#running) if (other !== job) controller.abort();
  }
}

/** Whether an error means that the visitor cancelled. Comlink keeps an error's name, not its class. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
