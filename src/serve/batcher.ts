/** Dynamic batching: requests that wait for the same model run together. */
import { OctetError } from '../errors.ts';
import type { Unit, UnitResult } from './units.ts';

/** The queue has no room; `retryAfter` is in seconds. */
export class QueueFullError extends OctetError {
  override name = 'QueueFullError';
  readonly retryAfter: number;

  constructor(message: string, retryAfter: number) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** What runs batches: a `ProcessPool`. */
export interface BatchRunner {
  /** Batches that the least busy process has; undefined where there is none. */
  readonly leastBusy: number | undefined;
  run(units: readonly Unit[], signal: AbortSignal): Promise<readonly UnitResult[]>;
}

export interface BatcherOptions {
  /** Batch sizes, ascending, from 1. */
  readonly sizes: readonly number[];
  /** How long a batch that is not full waits for others while a process is idle. */
  readonly waitMs: number;
  /** Pictures that may wait. */
  readonly capacity: number;
  /** Told of each batch when it has run. */
  readonly onBatch?: (batch: { readonly pictures: number; readonly runMs: number }) => void;
  /** Told how long each picture waited. */
  readonly onDispatch?: (waitedMs: number) => void;
}

interface Job {
  readonly results: UnitResult[];
  remaining: number;
  /** Its answer is known, or nobody wants it. */
  done: boolean;
  readonly resolve: (results: readonly UnitResult[]) => void;
  readonly reject: (error: Error) => void;
}

interface Waiting {
  readonly job: Job;
  readonly index: number;
  readonly unit: Unit;
  readonly since: number;
}

/** A full batch is sent ahead, to be there when the process has done the one before. */
const BATCHES_AHEAD = 2;

/** 1, 2, 4, … and `most` itself: few enough to plan all of them at load. */
export function batchSizes(most: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size < most; size *= 2) sizes.push(size);
  return [...sizes, most];
}

export class Batcher {
  readonly #runner: BatchRunner;
  readonly #options: BatcherOptions;
  #queue: Waiting[] = [];
  #running = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When a process last had done a batch. */
  #idleSince = -Infinity;
  /** Moving average. */
  #msPerPicture = 0;

  constructor(runner: BatchRunner, options: BatcherOptions) {
    this.#runner = runner;
    this.#options = options;
  }

  /** Pictures that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Pictures in batches that run. */
  get running(): number {
    return this.#running;
  }

  /** Seconds in which the queue of now should be done, at least 1. */
  get retryAfter(): number {
    return Math.max(1, Math.ceil(((this.#queue.length + this.#running) * this.#msPerPicture) / 1000));
  }

  /**
   * @throws {QueueFullError} there is no room for so many pictures
   */
  checkRoom(pictures: number): void {
    const { capacity } = this.#options;
    if (pictures > capacity) {
      throw new QueueFullError(
        `${pictures} pictures are more than the queue holds (${capacity}): send fewer a request`,
        this.retryAfter,
      );
    }
    if (this.#queue.length + pictures > capacity) {
      throw new QueueFullError(
        `${this.#queue.length} pictures wait already, and the queue holds ${capacity}: try again later`,
        this.retryAfter,
      );
    }
  }

  /**
   * Queues the pictures of one request; resolves to a result for each, in order.
   * @throws {QueueFullError} there is no room for them
   * @throws what the runner throws, and the signal's reason
   */
  submit(units: readonly Unit[], signal: AbortSignal): Promise<readonly UnitResult[]> {
    this.checkRoom(units.length);
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const abort = () => {
        finish(job);
        reject(signal.reason as Error);
        this.#queue = this.#queue.filter((waiting) => waiting.job !== job);
        this.#cancelled.forEach((check) => check());
      };
      const finish = (of: Job) => {
        of.done = true;
        signal.removeEventListener('abort', abort);
      };
      const job: Job = {
        results: new Array<UnitResult>(units.length),
        remaining: units.length,
        done: false,
        resolve: (results) => {
          finish(job);
          resolve(results);
        },
        reject: (error) => {
          finish(job);
          reject(error);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      const since = performance.now();
      for (const [index, unit] of units.entries()) this.#queue.push({ job, index, unit, since });
      this.pump();
    });
  }

  /** Sends what can be sent. To be called where a process has become ready, too. */
  pump(): void {
    const { sizes, waitMs } = this.#options;
    const most = sizes[sizes.length - 1];
    while (this.#queue.length > 0) {
      const isFull = this.#queue.length >= most;
      const busy = this.#runner.leastBusy;
      if (busy === undefined || busy >= (isFull ? BATCHES_AHEAD : 1)) return;
      // From when the process was idle: clients that have their answers of the batch before are about to send what comes next.
      const since = Math.max(this.#queue[0].since, this.#idleSince);
      const left = waitMs - (performance.now() - since);
      if (!isFull && left > 0) {
        if (this.#timer === undefined) {
          this.#timer = setTimeout(() => {
            this.#timer = undefined;
            this.pump();
          }, left);
        }
        return;
      }
      const size = sizes.findLast((one) => one <= this.#queue.length)!;
      void this.#dispatch(this.#queue.splice(0, size));
    }
  }

  /** Of the batches that run: ends those that nobody waits for any more. */
  readonly #cancelled = new Set<() => void>();

  async #dispatch(batch: readonly Waiting[]): Promise<void> {
    const { onBatch, onDispatch } = this.#options;
    const start = performance.now();
    const controller = new AbortController();
    const check = () => {
      if (batch.every(({ job }) => job.done)) controller.abort(new OctetError('nobody waits for this batch'));
    };
    this.#cancelled.add(check);
    this.#running += batch.length;
    if (onDispatch) for (const { since } of batch) onDispatch(start - since);
    try {
      const results = await this.#runner.run(
        batch.map(({ unit }) => unit),
        controller.signal,
      );
      const runMs = performance.now() - start;
      const each = runMs / batch.length;
      this.#msPerPicture = this.#msPerPicture === 0 ? each : 0.9 * this.#msPerPicture + 0.1 * each;
      onBatch?.({ pictures: batch.length, runMs });
      for (const [position, { job, index }] of batch.entries()) {
        job.results[index] = results[position];
        if (--job.remaining === 0 && !job.done) job.resolve(job.results);
      }
    } catch (error) {
      const reason = error instanceof Error ? error : new OctetError(String(error));
      for (const { job } of batch) if (!job.done) job.reject(reason);
      // What is left of them would run for nothing.
      this.#queue = this.#queue.filter(({ job }) => !job.done);
    } finally {
      this.#cancelled.delete(check);
      this.#running -= batch.length;
      this.#idleSince = performance.now();
      this.pump();
    }
  }
}
