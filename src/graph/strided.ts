/** Views of row-major tensors by strides: what slices, transposes and broadcasts of constants have in common. */
import { numberAttribute, resolveAxis } from './attributes.ts';
import type { Node, TensorData } from './graph.ts';
import { MAX_LIST } from './limits.ts';

/** Most channels that are listed one by one: far more than networks have, where a hostile file may declare billions. */
export const MAX_CHANNELS = 2 ** 16;

/** Channels that one model lists altogether: a hundred times those of a ShuffleNet. */
export const MAX_LISTED = 2 ** 22;

/** Elements of a list of integers, undefined where they are not known: `constantNumbers`, or what inference knows beyond. */
export type NumbersOf = (name: string) => readonly number[] | undefined;

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

/**
 * Sizes of a Split's parts along `axis`: given, or equal ones, of which the last may be smaller. A string says what is wrong with them;
 * undefined where they are computed (https://onnx.ai/onnx/operators/onnx__Split.html).
 */
export function splitSizes(
  node: Node,
  size: number | string,
  numbers: NumbersOf,
): readonly number[] | string | undefined {
  const listed = node.inputs[1] ? numbers(node.inputs[1]) : node.attributes.split;
  let sizes: readonly number[];
  if (Array.isArray(listed)) {
    sizes = listed.map(Number);
  } else {
    const count = numberAttribute(node, 'num_outputs', node.outputs.length);
    if (node.inputs[1] || typeof size !== 'number') return undefined;
    if (!(count >= 1 && count <= MAX_LIST)) return `splits ${size} into ${count} parts`;
    const part = Math.ceil(size / count);
    sizes = Array.from({ length: count }, (_, i) => (i < count - 1 ? part : size - part * (count - 1)));
  }
  const sum = sizes.reduce((total, part) => total + part, 0);
  const isWhole = typeof size !== 'number' || sum === size;
  if (
    isWhole &&
    sizes.every((part) => Number.isInteger(part) && part > 0) &&
    sizes.length >= node.outputs.length
  )
    return sizes;
  return `splits ${size} into ${node.outputs.length} parts of [${sizes}]`;
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
  node: Node,
  shape: readonly (number | string)[],
  numbers: NumbersOf,
): ReadonlyMap<number, SliceRange> | undefined {
  const optional = (index: number, fallback: readonly number[]) =>
    node.inputs[index] ? numbers(node.inputs[index]) : fallback;
  const starts = numbers(node.inputs[1]);
  const ends = numbers(node.inputs[2]);
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
