/** Views of row-major tensors by strides: what slices, transposes and broadcasts of constants have in common. */
import { constantNumbers, resolveAxis } from './attributes.ts';
import type { Graph, Node, TensorData } from './graph.ts';

/** Element steps between neighbours along each axis of a row-major tensor. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

/** Strides by which a tensor of shape `from` is read as one of shape `to` (numpy's broadcasting: stride 0 repeats). */
export function broadcastStrides(from: readonly number[], to: readonly number[]): number[] {
  const own = rowMajorStrides(from);
  return to.map((_, axis) => {
    const source = axis - to.length + from.length;
    return source < 0 || from[source] === 1 ? 0 : own[source];
  });
}

/** Copies the elements at `offset + Σ index·stride`, for all indices of `shape` in row-major order. */
export function copyStrided<T extends TensorData>(
  data: T,
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): T {
  const length = shape.reduce((product, dim) => product * dim, 1);
  const out = new (data.constructor as new (length: number) => T)(length);
  const index = shape.map(() => 0);
  let position = offset;
  for (let i = 0; i < length; i++) {
    out[i] = data[position];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += strides[axis];
      index[axis]++;
      if (index[axis] < shape[axis]) break;
      position -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** What a Slice takes of one axis: elements start, start + step, … */
export interface SliceRange {
  readonly start: number;
  readonly step: number;
  readonly length: number;
}

/**
 * Ranges of a Slice node, by axis; axes that it leaves whole are missing. Undefined where bounds are computed, or do not
 * fit each other or `shape` (https://onnx.ai/onnx/operators/onnx__Slice.html).
 */
export function sliceRanges(
  graph: Graph,
  node: Node,
  shape: readonly (number | string)[],
): ReadonlyMap<number, SliceRange> | undefined {
  const optional = (index: number, fallback: readonly number[]) =>
    node.inputs[index] ? constantNumbers(graph, node.inputs[index]) : fallback;
  const starts = constantNumbers(graph, node.inputs[1]);
  const ends = constantNumbers(graph, node.inputs[2]);
  if (!starts || ends?.length !== starts.length) return undefined;
  const axes = optional(3, [...starts.keys()]);
  const steps = optional(
    4,
    starts.map(() => 1),
  );
  const ranges = new Map<number, SliceRange>();
  for (const [i, from] of starts.entries()) {
    const axis = axes && resolveAxis(axes[i], shape.length);
    const size = axis === undefined ? undefined : shape[axis];
    const step = steps?.[i] ?? 0;
    if (axis === undefined || typeof size !== 'number' || step === 0) return undefined;
    // Bounds count from the end where negative, and are clamped to what a walk in this direction can reach.
    const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
    const clamp = (bound: number) => Math.min(most, Math.max(least, bound < 0 ? bound + size : bound));
    const start = step > 0 ? clamp(from) : Math.max(0, clamp(from));
    const length = Math.min(size, Math.max(0, Math.ceil((clamp(ends[i]) - start) / step)));
    ranges.set(axis, { start, step, length });
  }
  return ranges;
}
