/**
 * The part of a run that every thread does: walk a list of calls, take units of work from each, and meet the others before
 * the next. Imports nothing, so that the worker is one small file.
 *
 * Control words, int32, in the first page of the memory:
 *
 *   0  ARRIVED   threads that have reached the barrier
 *   1  EPOCH     barriers passed; what waiting threads wait on
 *   2  SIGNAL    runs and messages so far; what waiting threads look at
 *   3  MESSAGES  messages posted so far, to every thread
 *   4  RUN       runs begun so far
 *   5  PLAN      the run's: its plan, its first call and one past its last
 *   6  FROM
 *   7  TO
 *   16 AWAY      and on, one a thread: 1 where it is in its event loop, and begins a run when it is sent a message
 *   272 TICKET   and on, one a call: the first unit that nobody has taken
 */
const ARRIVED = 0;
const EPOCH = 1;
const SIGNAL = 2;
const MESSAGES = 3;
const RUN = 4;
const PLAN = 5;
const FROM = 6;
const TO = 7;
const AWAY = 16;
const TICKET = 272;

/** As many as there are words for. */
export const MAX_THREADS = TICKET - AWAY;

/** Calls of one run at most, so that their tickets fit the first page. */
export const MAX_CALLS = 65536 / 4 - TICKET;

/** A kernel call with addresses in place. */
export interface PreparedCall {
  readonly export: string;
  /** One argument a parameter; those of `scratchArgument` and the unit range are put in by the thread. */
  readonly args: readonly number[];
  /** Index of the scratch address in `args`, −1 where the kernel takes none. */
  readonly scratchArgument: number;
  /** Units of work; the last two arguments, added by the thread, are its first and one past its last. */
  readonly units: number;
}

export type Kernels = Readonly<Record<string, (...args: number[]) => void>>;

/** A call bound to one thread. */
export type BoundCall = readonly [kernel: (...args: number[]) => void, args: number[], units: number];

/** Puts a thread's own scratch address into its copy of the arguments. */
export function bindCalls(
  calls: readonly PreparedCall[],
  kernels: Kernels,
  scratchAddress: number,
): BoundCall[] {
  return calls.map((call) => {
    const args = [...call.args, 0, 0];
    if (call.scratchArgument >= 0) args[call.scratchArgument] = scratchAddress;
    return [kernels[call.export], args, call.units];
  });
}

/** All calls on the calling thread alone. */
export function executeAlone(calls: readonly BoundCall[], from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const [kernel, args, units] = calls[i];
    args[args.length - 2] = 0;
    args[args.length - 1] = units;
    kernel(...args);
  }
}

/**
 * Begins calls `from` to `to` − 1 of a plan on all threads. Those that have just finished a run are still looking at the memory; the others are
 * sent a message. It takes longer, but each has a core by then: threads that slept in `Atomics.wait` and are woken at once are put on the same one.
 *
 * The tickets are cleared, since all threads have taken their last one; the barrier's words stay, since a slow thread may not have seen yet that
 * the last run is over.
 *
 * @param wake sends a thread an empty message
 */
export function beginRun(
  control: Int32Array,
  plan: number,
  from: number,
  to: number,
  threads: number,
  wake: (thread: number) => void,
): void {
  control.fill(0, TICKET + from, TICKET + to);
  control[PLAN] = plan;
  control[FROM] = from;
  control[TO] = to;
  Atomics.add(control, RUN, 1);
  Atomics.add(control, SIGNAL, 1);
  for (let thread = 0; thread < threads; thread++)
    if (Atomics.load(control, AWAY + thread) === 1) wake(thread);
}

/** Tells threads that look at the memory that a message is on its way to each of them. */
export function announceMessage(control: Int32Array): void {
  Atomics.add(control, MESSAGES, 1);
  Atomics.add(control, SIGNAL, 1);
}

/** What one thread has done of what it was told. */
export interface Progress {
  messages: number;
  runs: number;
}

/**
 * Runs one run after the other, until none has come for a while or a message has, which a thread gets from its event loop.
 *
 * @param done called by the thread that is the last to finish a run
 */
export function executeRuns(
  plans: ReadonlyMap<number, readonly BoundCall[]>,
  threads: number,
  thread: number,
  control: Int32Array,
  progress: Progress,
  done: () => void,
): void {
  Atomics.store(control, AWAY + thread, 0);
  for (;;) {
    const seen = Atomics.load(control, SIGNAL);
    if (Atomics.load(control, MESSAGES) !== progress.messages) return;
    if (Atomics.load(control, RUN) !== progress.runs) {
      progress.runs++;
      const calls = plans.get(control[PLAN])!;
      if (executeTogether(calls, control[FROM], control[TO], threads, control)) done();
    } else if (!changes(control, SIGNAL, seen, IDLE_SPINS)) {
      // In this order: either a run that begins now finds the thread away, or the thread finds the run.
      Atomics.store(control, AWAY + thread, 1);
      if (Atomics.load(control, SIGNAL) === seen) return;
      Atomics.store(control, AWAY + thread, 0);
    }
  }
}

/**
 * A thread takes one part in so many of its even share of the units that are left: large pieces first, then ever smaller ones, so that threads finish
 * together and one that is held up leaves units for the others (guided self-scheduling, Polychronopoulos and Kuck 1987).
 */
const SHARE = 2;

/**
 * Calls `from` to `to` − 1 on one thread of several. Where one throws, the others wait at the next barrier until the pool
 * ends them.
 *
 * @returns whether this thread was the last to finish
 */
function executeTogether(
  calls: readonly BoundCall[],
  from: number,
  to: number,
  threads: number,
  control: Int32Array,
): boolean {
  let last = false;
  for (let i = from; i < to; i++) {
    const [kernel, args, units] = calls[i];
    let start = Atomics.load(control, TICKET + i);
    while (start < units) {
      const end = start + Math.ceil((units - start) / (threads * SHARE));
      const found = Atomics.compareExchange(control, TICKET + i, start, end);
      if (found !== start) {
        start = found;
        continue;
      }
      args[args.length - 2] = start;
      args[args.length - 1] = end;
      kernel(...args);
      start = Atomics.load(control, TICKET + i);
    }
    last = barrier(control, threads);
  }
  return last;
}

/**
 * Loads of a word before a thread goes to sleep: some 200 µs. Sleeping and waking take half of that on a virtual machine, and once a thread has
 * slept the system may keep both on one core for the rest of a run.
 */
const SPINS = 20000;

/** Those of a thread that has nothing to do: the next run of a loop begins within half a millisecond. */
const IDLE_SPINS = 50000;

/** Waits until all threads are here. @returns whether this one was the last */
function barrier(control: Int32Array, threads: number): boolean {
  const epoch = Atomics.load(control, EPOCH);
  if (Atomics.add(control, ARRIVED, 1) === threads - 1) {
    Atomics.store(control, ARRIVED, 0);
    Atomics.add(control, EPOCH, 1);
    Atomics.notify(control, EPOCH);
    return true;
  }
  if (!changes(control, EPOCH, epoch, SPINS)) {
    while (Atomics.load(control, EPOCH) === epoch) Atomics.wait(control, EPOCH, epoch);
  }
  return false;
}

/** Whether a word is no longer `value` within so many looks. */
function changes(control: Int32Array, word: number, value: number, looks: number): boolean {
  for (let look = 0; look < looks; look++) if (Atomics.load(control, word) !== value) return true;
  return false;
}
