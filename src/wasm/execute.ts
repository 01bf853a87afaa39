/**
 * The part of a run that every thread does: walk a list of calls, take units of work from each, and meet the others before
 * the next. Imports nothing, so that the worker is one small file.
 *
 * Control words, int32, in the first page of the memory:
 *
 *   0  ARRIVED   threads that have reached the barrier
 *   1  EPOCH     barriers passed; what waiting threads wait on
 *   16 TICKET    and on, one a call: the first unit that nobody has taken
 */
const ARRIVED = 0;
const EPOCH = 1;
const TICKET = 16;

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
 * Clears the tickets before a run. All threads have taken their last one; the barrier's words stay, since a slow thread may
 * not have seen yet that the last run is over.
 */
export function resetTickets(control: Int32Array, calls: number): void {
  control.fill(0, TICKET, TICKET + calls);
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
export function executeTogether(
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
 * Loads of the epoch before a thread goes to sleep: some 200 µs. Sleeping and waking take half of that on a virtual machine, and once a thread has
 * slept the system may keep both on one core for the rest of a run.
 */
const SPINS = 20000;

/** Waits until all threads are here. @returns whether this one was the last */
function barrier(control: Int32Array, threads: number): boolean {
  const epoch = Atomics.load(control, EPOCH);
  if (Atomics.add(control, ARRIVED, 1) === threads - 1) {
    Atomics.store(control, ARRIVED, 0);
    Atomics.add(control, EPOCH, 1);
    Atomics.notify(control, EPOCH);
    return true;
  }
  for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(control, EPOCH) !== epoch) return false;
  while (Atomics.load(control, EPOCH) === epoch) Atomics.wait(control, EPOCH, epoch);
  return false;
}
