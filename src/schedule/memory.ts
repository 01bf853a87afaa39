import { InputError } from '../errors.ts';
import type { TensorId } from '../program/program.ts';
import type { Allocation, MemoryPlan, PlannedTensor, Step } from './plan.ts';

export interface MemoryPlanOptions {
  /** Offsets are multiples of it, in bytes: WebGPU's `minStorageBufferOffsetAlignment`, a vector's size for wasm. */
  readonly alignment: number;
  /**
   * Keeps what a step writes in other arenas than what it reads: a WebGPU buffer cannot be both in one
   * dispatch. Without it there is one arena.
   */
  readonly separate: boolean;
}

interface Lifetime extends PlannedTensor {
  readonly firstStep: number;
  readonly lastStep: number;
}

interface Placement {
  readonly arena: number;
  readonly offset: number;
  /** Bytes by which the arena grows. */
  readonly growth: number;
}

/**
 * Places tensors in arenas so that no two that are alive at one step overlap: greedy by size (Y. Pisarchyk, J. Lee: Efficient Memory
 * Management for Deep Neural Net Inference, 2020, "greedy by size for offset calculation"). The largest tensor is placed first;
 * each goes where its arena grows least, there into the lowest gap that holds it; where two arenas grow alike, into the one of its colour in a
 * colouring of what must lie apart, so that a chain of layers alternates between two arenas. Deterministic.
 *
 * Tensors that no step names get no memory.
 *
 * @throws InputError where a step names a tensor that is not among `tensors`, or reads and writes one tensor
 */
export function planMemory(
  tensors: readonly PlannedTensor[],
  steps: readonly Step[],
  { alignment, separate }: MemoryPlanOptions,
): MemoryPlan {
  const lifetimes = lifetimesOf(tensors, steps);
  const apart = separate ? readWritePairs(steps) : new Map<TensorId, Set<TensorId>>();
  const colours = coloursOf(lifetimes, apart);
  const arenas: number[] = [];
  const arenaColours: number[] = [];
  const placed: Allocation[] = [];
  for (const tensor of [...lifetimes].sort((a, b) => b.bytes - a.bytes || a.firstStep - b.firstStep)) {
    const shunned = new Set(
      placed.filter(({ id }) => apart.get(tensor.id)?.has(id)).map(({ arena }) => arena),
    );
    const colour = colours.get(tensor.id)!;
    // A new arena counts as whole multiples of the alignment: few arenas are worth a little padding.
    const opened = Math.ceil(tensor.bytes / alignment) * alignment;
    let best: Placement = { arena: arenas.length, offset: 0, growth: opened };
    for (const [arena, size] of arenas.entries()) {
      if (shunned.has(arena)) continue;
      const neighbours = placed.filter((other) => other.arena === arena && overlapInTime(tensor, other));
      const offset = lowestGap(neighbours, tensor.bytes, alignment);
      const growth = Math.max(0, offset + tensor.bytes - size);
      const preferred = best.arena === arenas.length || arenaColours[arena] === colour;
      const better = growth < best.growth || (growth === best.growth && preferred);
      if (better || !separate) best = { arena, offset, growth };
    }
    arenas[best.arena] = Math.max(arenas[best.arena] ?? 0, best.offset + tensor.bytes);
    arenaColours[best.arena] ??= colour;
    placed.push({ ...tensor, arena: best.arena, offset: best.offset });
  }
  return {
    allocations: placed.sort((a, b) => a.firstStep - b.firstStep || a.id - b.id),
    arenas,
    peakBytes: sum(arenas),
    lowerBoundBytes: Math.max(0, ...steps.map((_, step) => bytesAlive(lifetimes, step))),
    naiveBytes: sum(lifetimes.map(({ bytes }) => bytes)),
  };
}

/** Bytes alive at each step. */
export function bytesPerStep(plan: MemoryPlan, steps: readonly Step[]): number[] {
  return steps.map((_, step) => bytesAlive(plan.allocations, step));
}

function bytesAlive(tensors: readonly Lifetime[], step: number): number {
  return sum(tensors.filter((t) => t.firstStep <= step && step <= t.lastStep).map((t) => t.bytes));
}

function lifetimesOf(tensors: readonly PlannedTensor[], steps: readonly Step[]): Lifetime[] {
  const byId = new Map(tensors.map((tensor) => [tensor.id, tensor]));
  const lifetimes = new Map<TensorId, Lifetime>();
  for (const [step, { name, reads, writes }] of steps.entries()) {
    for (const id of [...reads, ...writes]) {
      const tensor = byId.get(id);
      if (!tensor) throw new InputError(`step "${name}" names tensor ${id}, which the planner was not given`);
      lifetimes.set(id, { ...tensor, firstStep: lifetimes.get(id)?.firstStep ?? step, lastStep: step });
    }
  }
  return [...lifetimes.values()];
}

/** For each tensor, those that some step writes while it reads this one, or the reverse. */
function readWritePairs(steps: readonly Step[]): Map<TensorId, Set<TensorId>> {
  const pairs = new Map<TensorId, Set<TensorId>>();
  const add = (a: TensorId, b: TensorId) => {
    if (!pairs.has(a)) pairs.set(a, new Set());
    pairs.get(a)!.add(b);
  };
  for (const { name, reads, writes } of steps) {
    for (const read of reads) {
      for (const write of writes) {
        if (read === write) throw new InputError(`step "${name}" both reads and writes tensor ${read}`);
        add(read, write);
        add(write, read);
      }
    }
  }
  return pairs;
}

/** A colour for each tensor, different from those it must lie apart from: the lowest free one, in order of execution. */
function coloursOf(
  tensors: readonly Lifetime[],
  apart: ReadonlyMap<TensorId, ReadonlySet<TensorId>>,
): Map<TensorId, number> {
  const colours = new Map<TensorId, number>();
  for (const { id } of tensors) {
    const taken = new Set([...(apart.get(id) ?? [])].map((other) => colours.get(other)));
    let colour = 0;
    while (taken.has(colour)) colour++;
    colours.set(id, colour);
  }
  return colours;
}

function overlapInTime(a: Lifetime, b: Lifetime): boolean {
  return a.firstStep <= b.lastStep && b.firstStep <= a.lastStep;
}

/** Lowest aligned offset at which `bytes` fit between the neighbours, or after them. */
function lowestGap(neighbours: readonly Allocation[], bytes: number, alignment: number): number {
  let offset = 0;
  for (const other of [...neighbours].sort((a, b) => a.offset - b.offset)) {
    if (offset + bytes <= other.offset) break;
    offset = Math.max(offset, Math.ceil((other.offset + other.bytes) / alignment) * alignment);
  }
  return offset;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
