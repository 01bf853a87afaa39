/** Rows of reductions: which axes, and the fold over their elements in row-major order. */
import { constantNumbers } from '../attributes.ts';
import type { Node, TensorData } from '../graph.ts';
import { resolveAxes } from '../shapes.ts';
import { broadcastStrides, copyStrided } from '../strided.ts';
import { sizeOf, zeros } from './dense.ts';
import { axesAsInput } from './normalize-context.ts';
import {
  defineOperator,
  type Evaluation,
  type OnnxOperator,
  type Role,
  type ShapeRule,
  type Value,
} from './operator.ts';
import { int, ints, since, until } from './signature.ts';

interface Reduction {
  readonly op: string;
  /** Opset since which axes are an input. */
  readonly axesSince: number;
  /** Of those that run in integers; default `none`. */
  readonly role?: Role;
  /** Result of no element. */
  readonly start: number;
  readonly fold: (result: number, x: number, largest: number) => number;
  /** Of the folded result and how many elements there were. */
  readonly finish?: (result: number, count: number, largest: number) => number;
  /** Whether `fold` and `finish` are given the largest element: one more walk. */
  readonly needsLargest?: true;
  /** Whether the result of an integer is one. */
  readonly integers?: true;
}

/** A reduction in float64, in row-major order, rounded once. */
export function reductionOperator(reduction: Reduction): OnnxOperator {
  const { op, axesSince, role = 'none' } = reduction;
  return defineOperator<string>({
    op,
    inputs: [1, 2],
    attributes: {
      axes: until(axesSince, ints()),
      keepdims: int(1),
      noop_with_empty_axes: since(axesSince, int(0)),
    },
    role,
    // Before, ONNX has them as an attribute alone.
    normalize: (node, context) => [
      axesSince <= Math.max(13, context.graph.opset) ? axesAsInput(node, context) : node,
    ],
    shape: reducedShape,
    evaluate: (call) => reduced(reduction, call),
  });
}

/** The reduced axes: undefined where they are not known, a string where they do not fit. */
export function reducedAxes(
  node: Node,
  rank: number,
  given: readonly number[] | undefined,
): ReadonlySet<number> | string | undefined {
  if (node.inputs[1] && !given) return undefined;
  const listed = given ?? node.attributes.axes;
  if (Array.isArray(listed) && listed.length > 0) return resolveAxes(listed as number[], rank);
  return node.attributes.noop_with_empty_axes === 1 ? new Set<number>() : new Set(Array(rank).keys());
}

const reducedShape: ShapeRule = ({ shape }, _, node, { graph }) => {
  const axes = reducedAxes(node, shape.length, constantNumbers(graph, node.inputs[1]));
  if (typeof axes !== 'object') return axes;
  return node.attributes.keepdims === 0
    ? shape.filter((_, axis) => !axes.has(axis))
    : shape.map((dim, axis) => (axes.has(axis) ? 1 : dim));
};

function reduced(
  { start, fold, finish, needsLargest, integers }: Reduction,
  { node, inputs: [x], dtype, shape, numbers }: Evaluation,
): Value | undefined {
  if (!x || !(integers || x.data instanceof Float32Array || x.data instanceof Float64Array)) return undefined;
  const axes = reducedAxes(node, x.shape.length, node.inputs[1] ? numbers(node.inputs[1]) : undefined);
  if (typeof axes !== 'object') return undefined;
  const { places, count } = placesOf(x.shape, axes);
  const largest = new Float64Array(count).fill(-Infinity);
  const results = new Float64Array(count).fill(start);
  const per = count === 0 ? 0 : x.data.length / count;
  if (needsLargest) {
    for (const [i, place] of places.entries()) largest[place] = Math.max(largest[place], Number(x.data[i]));
  }
  for (const [i, place] of places.entries())
    results[place] = fold(results[place], Number(x.data[i]), largest[place]);
  const data: TensorData = zeros(dtype, count);
  for (const [i, folded] of results.entries()) {
    const result = finish ? finish(folded, per, largest[i]) : folded;
    // Sums of integers beyond 2⁵³ are not exact in float64.
    if (integers && !(data instanceof Float32Array || data instanceof Float64Array)) {
      const isEmpty = per === 0 && !Number.isFinite(result);
      if (!Number.isSafeInteger(result) && !isEmpty) return undefined;
      if (isEmpty) data[i] = extremeOf(data, result);
      else
        data[i] = data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(result) : result;
    } else {
      data[i] = result;
    }
  }
  return { dtype, shape, data };
}

/** What the largest or smallest of no integers is: the type's own bound. */
function extremeOf(data: TensorData, bound: number): number | bigint {
  if (data instanceof BigInt64Array) return bound < 0 ? -(2n ** 63n) : 2n ** 63n - 1n;
  if (data instanceof BigUint64Array) return bound < 0 ? 0n : 2n ** 64n - 1n;
  const bits = 8 * data.BYTES_PER_ELEMENT;
  const isSigned = data instanceof Int8Array || data instanceof Int16Array || data instanceof Int32Array;
  if (isSigned) return bound < 0 ? -(2 ** (bits - 1)) : 2 ** (bits - 1) - 1;
  return bound < 0 ? 0 : 2 ** bits - 1;
}

/** For each element the place in the result that it is folded into. */
export function placesOf(
  shape: readonly number[],
  axes: ReadonlySet<number>,
): { readonly places: Int32Array; readonly count: number } {
  const kept = shape.map((size, axis) => (axes.has(axis) ? 1 : size));
  const count = sizeOf(kept);
  const own = Int32Array.from({ length: count }, (_, i) => i);
  return { places: copyStrided(own, shape, broadcastStrides(kept, shape)), count };
}
