/**
 * What a run does, as plain data: steps in order, and where every tensor lies. Knows no device: printable,
 * and testable without one.
 */
import type { TensorId } from '../program/program.ts';

/** One step of a run, as far as memory is concerned. */
export interface Step {
  readonly name: string;
  readonly reads: readonly TensorId[];
  readonly writes: readonly TensorId[];
}

/** What the planner is told of a tensor: program tensors and kernels' workspaces alike. */
export interface PlannedTensor {
  readonly id: TensorId;
  readonly name: string;
  readonly bytes: number;
}

/** Where a tensor lies, from `firstStep` to `lastStep` inclusive. */
export interface Allocation extends PlannedTensor {
  readonly arena: number;
  /** Bytes from the start of its arena, a multiple of the planner's alignment. */
  readonly offset: number;
  readonly firstStep: number;
  readonly lastStep: number;
}

export interface MemoryPlan {
  readonly allocations: readonly Allocation[];
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
  /** Sum of `arenas`. */
  readonly peakBytes: number;
  /** Most bytes alive at one step: no plan can do with less. */
  readonly lowerBoundBytes: number;
  /** Bytes if every tensor had its own memory. */
  readonly naiveBytes: number;
}
