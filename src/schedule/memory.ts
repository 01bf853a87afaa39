import { InputError, ModelError, shorten } from '../errors.ts';
import type { IntegerProgram, TensorId } from '../program/program.ts';
import type { Allocation, MemoryPlan, PlannedTensor, Step } from './plan.ts';
import { plannedTensors, stepsOf } from './steps.ts';

export interface MemoryPlanOptions {
  /**
   * Offsets are multiples of it, in bytes: WebGPU's `minStorageBufferOffsetAlignment`, a vector's size for
   * wasm.
   */
  readonly alignment: number;
  /**
   * Keeps what a step writes in other arenas than what it reads: a WebGPU buffer cannot be both in one
   * dispatch. Without it there is one arena.
   */
  readonly separate: boolean;
}

interface Lifetime extends PlannedTensor {
  readonly firstStep: number;
  lastStep: number;
}

interface Arena {
  bytes: number;
  /** Of the tensor that opened it. */
  readonly colour: number;
  readonly allocations: Timeline;
}

interface Placement {
  readonly arena: number;
  readonly offset: number;
  /** Bytes by which the arena grows. */
  readonly growth: number;
}

/**
 * Places tensors in arenas so that no two that are alive at one step overlap: greedy by size (Y. Pisarchyk,
 * J. Lee: Efficient Memory Management for Deep Neural Net Inference, 2020, "greedy by size for offset
 * calculation"). The largest tensor is placed first; each goes where its arena grows least, there into the
 * lowest gap that holds it; where two arenas grow alike, into the one of its colour in a colouring of what
 * must lie apart, so that a chain of layers alternates between two arenas. Deterministic.
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
  const arenas: Arena[] = [];
  const allocations: Allocation[] = [];
  const arenaOf = new Map<TensorId, number>();
  for (const tensor of [...lifetimes].sort((a, b) => b.bytes - a.bytes || a.firstStep - b.firstStep)) {
    const shunned = new Set([...(apart.get(tensor.id) ?? [])].map((other) => arenaOf.get(other)));
    const colour = colours.get(tensor.id)!;
    // A new arena counts as whole multiples of the alignment: few arenas are worth a little padding.
    const opened = Math.ceil(tensor.bytes / alignment) * alignment;
    let best: Placement = { arena: arenas.length, offset: 0, growth: opened };
    for (const [index, arena] of arenas.entries()) {
      if (shunned.has(index)) continue;
      const offset = lowestGap(arena.allocations.aliveWith(tensor), tensor.bytes, alignment);
      const growth = Math.max(0, offset + tensor.bytes - arena.bytes);
      const preferred = best.arena === arenas.length || arena.colour === colour;
      const better = growth < best.growth || (growth === best.growth && preferred);
      if (better || !separate) best = { arena: index, offset, growth };
    }
    const { arena: index, offset } = best;
    const arena = (arenas[index] ??= { bytes: 0, colour, allocations: new Timeline(steps.length) });
    arena.bytes = Math.max(arena.bytes, offset + tensor.bytes);
    const allocation = { ...tensor, arena: index, offset };
    arena.allocations.add(allocation);
    allocations.push(allocation);
    arenaOf.set(tensor.id, index);
  }
  return {
    allocations: allocations.sort((a, b) => a.firstStep - b.firstStep || a.id - b.id),
    arenas: arenas.map(({ bytes }) => bytes),
    peakBytes: sum(arenas.map(({ bytes }) => bytes)),
    lowerBoundBytes: alivePerStep(lifetimes, steps.length).reduce((most, bytes) => Math.max(most, bytes), 0),
    naiveBytes: sum(lifetimes.map(({ bytes }) => bytes)),
  };
}

/**
 * @param limit bytes that the tensors of one image may take at once
 * @throws ModelError they take more
 */
export function checkActivationBytes(program: IntegerProgram, limit: number): void {
  const steps = stepsOf(program);
  const tensors = plannedTensors(program, 1);
  const bytes = alivePerStep(lifetimesOf(tensors, steps), steps.length).reduce((a, b) => Math.max(a, b), 0);
  if (bytes <= limit) return;
  const [first, ...rest] = tensors;
  const largest = rest.reduce((most, tensor) => (tensor.bytes > most.bytes ? tensor : most), first);
  throw new ModelError(
    `one image takes ${bytes} bytes of activations at once ("${shorten(largest.name, 100)}" alone ${largest.bytes}), ` +
      `more than ${limit}: pass a larger maxActivationBytes if the model is to be trusted with that`,
  );
}

/** Bytes alive at each step. */
export function bytesPerStep(plan: MemoryPlan, steps: readonly Step[]): number[] {
  return alivePerStep(plan.allocations, steps.length);
}

function alivePerStep(tensors: readonly Lifetime[], steps: number): number[] {
  const changes = new Array<number>(steps + 1).fill(0);
  for (const { firstStep, lastStep, bytes } of tensors) {
    changes[firstStep] += bytes;
    changes[lastStep + 1] -= bytes;
  }
  let alive = 0;
  return changes.slice(0, steps).map((change) => (alive += change));
}

function lifetimesOf(tensors: readonly PlannedTensor[], steps: readonly Step[]): Lifetime[] {
  const byId = new Map(tensors.map((tensor) => [tensor.id, tensor]));
  const lifetimes = new Map<TensorId, Lifetime>();
  for (const [step, { name, reads, writes }] of steps.entries()) {
    for (const id of [...reads, ...writes]) {
      const known = lifetimes.get(id);
      if (known) {
        known.lastStep = step;
        continue;
      }
      const tensor = byId.get(id);
      if (!tensor) throw new InputError(`step "${name}" names tensor ${id}, which the planner was not given`);
      lifetimes.set(id, { ...tensor, firstStep: step, lastStep: step });
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

/**
 * A colour for each tensor, different from those it must lie apart from: the lowest free one, in order of
 * execution.
 */
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

/**
 * Lowest aligned offset at which `bytes` fit between allocations, or after them.
 *
 * @param placed sorted by offset
 */
function lowestGap(placed: readonly Allocation[], bytes: number, alignment: number): number {
  let offset = 0;
  for (const other of placed) {
    if (offset + bytes <= other.offset) break;
    offset = Math.max(offset, Math.ceil((other.offset + other.bytes) / alignment) * alignment);
  }
  return offset;
}

/**
 * Allocations by the steps that they are alive in: a segment tree, so that those alive with a tensor are found
 * without a look at all.
 */
class Timeline {
  readonly #steps: number;
  /** Node `i` of the tree has the children 2i and 2i + 1; its list has what is alive in all of its steps. */
  readonly #lists = new Map<number, Allocation[]>();
  /** Nodes with a list in themselves or below. */
  readonly #used = new Set<number>();

  constructor(steps: number) {
    this.#steps = steps;
  }

  add(allocation: Allocation): void {
    const visit = (node: number, first: number, last: number): void => {
      if (allocation.firstStep > last || first > allocation.lastStep) return;
      this.#used.add(node);
      if (allocation.firstStep <= first && last <= allocation.lastStep) {
        const list = this.#lists.get(node);
        if (list) list.push(allocation);
        else this.#lists.set(node, [allocation]);
        return;
      }
      const middle = (first + last) >> 1;
      visit(2 * node, first, middle);
      visit(2 * node + 1, middle + 1, last);
    };
    visit(1, 0, this.#steps - 1);
  }

  /** Sorted by offset. */
  aliveWith(tensor: Lifetime): Allocation[] {
    const found = new Set<Allocation>();
    const visit = (node: number, first: number, last: number): void => {
      if (tensor.firstStep > last || first > tensor.lastStep || !this.#used.has(node)) return;
      for (const allocation of this.#lists.get(node) ?? []) found.add(allocation);
      const middle = (first + last) >> 1;
      visit(2 * node, first, middle);
      visit(2 * node + 1, middle + 1, last);
    };
    visit(1, 0, this.#steps - 1);
    return [...found].sort((a, b) => a.offset - b.offset);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
