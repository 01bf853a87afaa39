/**
 * Processes that run one model. Processes rather than worker threads: a crash, or a kill of one that hangs, takes nothing else with it,
 * and threads do not inherit the loader that runs TypeScript sources on Node 20.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { OctetError } from '../errors.ts';
import type { FromProcess, ProcessModel, ProcessOptions, ToProcess } from './messages.ts';
import type { Unit, UnitResult } from './units.ts';

/** The process that was to answer is gone; another try may well succeed. */
export class ProcessLostError extends OctetError {
  override name = 'ProcessLostError';
}

export interface PoolOptions extends ProcessOptions {
  readonly processes: number;
  /** A batch that takes longer is given up, and its process ended. Default: no limit. */
  readonly runTimeoutMs?: number;
  /** The processes' module. Default: Octet's own; another engine's, for comparison. */
  readonly module?: URL;
  /** Told of processes that end although nobody ended them, and of what follows. */
  readonly onEvent?: (event: PoolEvent) => void;
}

export type PoolEvent =
  | { readonly kind: 'lost'; readonly reason: string; readonly retryInMs: number }
  | { readonly kind: 'restarted' };

interface Run {
  readonly resolve: (results: readonly UnitResult[]) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/** One place of the pool: a process, and the next one once it is gone. */
interface Slot {
  child: ChildProcess | undefined;
  loaded: boolean;
  readonly runs: Map<number, Run>;
  /** Starts since the last answer, which set the pause before the next. */
  failures: number;
  restart: NodeJS.Timeout | undefined;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** TypeScript in a checkout, JavaScript in the package. */
const MAIN = new URL(`./process-main${import.meta.url.slice(-3)}`, import.meta.url);

export class ProcessPool {
  readonly #options: PoolOptions;
  readonly #slots: Slot[];
  #model: ProcessModel | undefined;
  #next = 0;
  #disposed = false;

  private constructor(options: PoolOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.processes }, () => ({
      child: undefined,
      loaded: false,
      runs: new Map<number, Run>(),
      failures: 0,
      restart: undefined,
    }));
  }

  /**
   * Resolves once every process has loaded the model and warmed up.
   * @throws {OctetError} a process refuses the model: its reason
   */
  static async open(options: PoolOptions): Promise<ProcessPool> {
    const pool = new ProcessPool(options);
    try {
      await Promise.all(pool.#slots.map((slot) => pool.#start(slot)));
      return pool;
    } catch (error) {
      pool.dispose();
      throw error;
    }
  }

  get model(): ProcessModel {
    return this.#model!;
  }

  /** Processes that can take a batch. */
  get ready(): number {
    return this.#slots.filter(({ loaded }) => loaded).length;
  }

  /** Of the processes that are ready. */
  get processIds(): number[] {
    return this.#slots.flatMap(({ loaded, child }) => (loaded ? [child!.pid!] : []));
  }

  /** Batches that the least busy process has; undefined where there is no process at the moment. */
  get leastBusy(): number | undefined {
    return this.#leastBusySlot()?.runs.size;
  }

  /**
   * Runs units on the least busy process, in batches as they come.
   * @throws {ProcessLostError} there is no process, it ended, or took longer than `runTimeoutMs`
   * @throws {OctetError} the run failed
   */
  run(units: readonly Unit[], signal?: AbortSignal): Promise<readonly UnitResult[]> {
    const slot = this.#leastBusySlot();
    if (!slot) return Promise.reject(new ProcessLostError('no process runs the model at the moment'));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const cancel = () => this.#send(slot, { kind: 'cancel', id });
      signal?.addEventListener('abort', cancel, { once: true });
      const settle = () => signal?.removeEventListener('abort', cancel);
      const { runTimeoutMs } = this.#options;
      slot.runs.set(id, {
        resolve: (results) => {
          settle();
          resolve(results);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
        timer:
          runTimeoutMs === undefined
            ? undefined
            : setTimeout(() => this.#end(slot, `a batch took more than ${runTimeoutMs} ms`), runTimeoutMs),
      });
      this.#send(slot, { kind: 'run', id, units });
    });
  }

  /** Ends the processes; runs in flight reject. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const slot of this.#slots) {
      clearTimeout(slot.restart);
      this.#end(slot, 'the server is closing');
    }
  }

  #leastBusySlot(): Slot | undefined {
    let best: Slot | undefined;
    for (const slot of this.#slots) {
      if (slot.loaded && (!best || slot.runs.size < best.runs.size)) best = slot;
    }
    return best;
  }

  #send({ child }: Slot, message: ToProcess): void {
    // A channel that breaks here is told of by the process's end.
    if (child?.connected) child.send(message, () => undefined);
  }

  #start(slot: Slot): Promise<void> {
    const { module = MAIN, source, load, batches, maxPixels } = this.#options;
    return new Promise((resolve, reject) => {
      const child = fork(fileURLToPath(module), { serialization: 'advanced' });
      slot.child = child;
      child.on('message', (message: FromProcess) => {
        switch (message.kind) {
          case 'loaded':
            try {
              this.#accept(message.model);
              slot.loaded = true;
              resolve();
            } catch (error) {
              const reason = error as OctetError;
              reject(reason);
              this.#end(slot, reason.message);
            }
            break;
          case 'refused':
            reject(new OctetError(message.message));
            this.#end(slot, message.message);
            break;
          case 'done':
            slot.failures = 0;
            this.#take(slot, message.id)?.resolve(message.results);
            break;
          case 'failed':
            this.#take(slot, message.id)?.reject(
              message.fatal ? new ProcessLostError(message.message) : new OctetError(message.message),
            );
            if (message.fatal) this.#end(slot, message.message);
            break;
        }
      });
      child.on('error', (error) => this.#end(slot, error.message));
      child.on('exit', (code, signal) => {
        const reason = `a process that runs the model ended (${signal ?? `code ${code ?? 'none'}`})`;
        reject(new ProcessLostError(reason));
        if (slot.child === child) this.#lost(slot, reason);
      });
      const options = { source, load, batches, ...(maxPixels !== undefined && { maxPixels }) };
      this.#send(slot, { kind: 'load', options });
    });
  }

  /** A restarted process that reads another file must not answer in the old one's name. */
  #accept(model: ProcessModel): void {
    if (this.#model && this.#model.hash !== model.hash) {
      throw new OctetError('the model file has changed since the server read it: start the server again');
    }
    this.#model ??= model;
  }

  #take(slot: Slot, id: number): Run | undefined {
    const run = slot.runs.get(id);
    slot.runs.delete(id);
    clearTimeout(run?.timer);
    return run;
  }

  #end(slot: Slot, reason: string): void {
    const { child } = slot;
    child?.kill('SIGKILL');
    if (child) this.#lost(slot, reason);
  }

  #lost(slot: Slot, reason: string): void {
    const wasUp = slot.loaded;
    slot.child = undefined;
    slot.loaded = false;
    for (const id of [...slot.runs.keys()]) this.#take(slot, id)?.reject(new ProcessLostError(reason));
    // A process that never was up is the business of whoever opens the pool, unless it is one that was started again.
    if (this.#disposed || (!wasUp && slot.failures === 0)) return;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** slot.failures, LONGEST_PAUSE_MS);
    slot.failures++;
    this.#options.onEvent?.({ kind: 'lost', reason, retryInMs: pause });
    slot.restart = setTimeout(() => {
      this.#start(slot).then(
        () => this.#options.onEvent?.({ kind: 'restarted' }),
        // Its end has been told of, and set the next try.
        () => undefined,
      );
    }, pause);
  }
}
