import { constantNumbers } from '../../graph/attributes.ts';
import type { Dimension, Graph, Node } from '../../graph/graph.ts';
import { reduceL1 } from '../../graph/operators/reduce-l1.ts';
import { reduceL2 } from '../../graph/operators/reduce-l2.ts';
import { reduceMax } from '../../graph/operators/reduce-max.ts';
import { reduceMean } from '../../graph/operators/reduce-mean.ts';
import { reduceMin } from '../../graph/operators/reduce-min.ts';
import { reduceSumSquare } from '../../graph/operators/reduce-sum-square.ts';
import { reducedAxes } from '../../graph/operators/reduction.ts';
import { rowMajorStrides } from '../../graph/strided.ts';
import { type AxisGroups, axisGroups, groupedLayout } from '../../program/layouts.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { isListable, moveSource, wholePart } from '../../program/move.ts';
import { commonRescale, toMultiplier } from '../../program/multiplier.ts';
import type {
  Int8Tensor,
  Layout,
  MoveOperation,
  ReduceFunction,
  ReduceOperation,
} from '../../program/program.ts';
import { emitSelection } from '../selection.ts';

/** Largest term of a sum: |x − z|, or its square. */
export const LARGEST: Readonly<Record<ReduceFunction, number>> = {
  sum: 255,
  sumOfMagnitudes: 255,
  sumOfSquares: 255 * 255,
  max: 0,
  min: 0,
};

/** Fewer bits of a multiplier at the exponent that keeps the product within int32 are too few: accumulators are requantized. */
const MIN_MULTIPLIER = 2 ** 15;
/** Beyond it, 255 · count · MIN_MULTIPLIER is no int32. */
const MAX_RESCALED = 257;

export function lowerReduce(node: Node, context: LoweringContext): void {
  const shape = context.shape(node, 0) ?? [];
  const axes = axesOf(node, shape, context.graph);
  if (typeof axes === 'string') {
    context.problem(node, axes);
    return;
  }
  const sizes = shape as readonly number[];
  const count = [...axes].reduce((product, axis) => product * sizes[axis], 1);
  const fold = foldOf(node);
  if (LARGEST[fold] * count >= 2 ** 31 - 1) {
    context.problem(node, `sums ${count} values, which can overflow int32`);
    return;
  }
  const input = context.activation(node, 0);
  const arranged = input && arrange(node, input, sizes, axes, context);
  if (!arranged) return;
  const { x, layout } = arranged;
  const base = {
    kind: 'reduce',
    name: node.name,
    function: fold,
    inputs: [x.id],
    axes: arranged.axes,
  } as const;
  if (fold === 'max' || fold === 'min') {
    const finish = { kind: 'select' } as const;
    emitSelection(node, x, layout, context, (output) => ({ ...base, output, finish }) as ReduceOperation);
    return;
  }
  const output = context.output(node, layout);
  if (!output) return;
  const { tensor, lo, hi } = output;
  const ratio = Math.fround(x.scale / tensor.scale);
  const { zeroPoint } = tensor;
  const finish = reduceL2.is(node)
    ? ({ kind: 'thresholds', thresholds: rootThresholds(ratio, zeroPoint, lo, hi), lo } as const)
    : ({
        kind: 'requantize',
        requantize: { ...multiplierOf(node, x.scale, ratio, count), zeroPoint, lo, hi },
      } as const);
  context.emit<ReduceOperation>({ ...base, output: tensor.id, finish });
}

/** The layout that keeps the reduced axes apart from the others; undefined where no three groups do. */
export function reduceLayout(
  node: Node,
  shape: readonly Dimension[],
  { graph }: Pick<LoweringContext, 'graph'>,
): Layout | undefined {
  const axes = axesOf(node, shape, graph);
  if (typeof axes === 'string') return undefined;
  const groups = runsOf(shape as readonly number[], axes);
  return groups && groupedLayout(shape as readonly number[], groups);
}

function foldOf(node: Node): ReduceFunction {
  if (reduceMax.is(node)) return 'max';
  if (reduceMin.is(node)) return 'min';
  if (reduceL1.is(node)) return 'sumOfMagnitudes';
  return reduceL2.is(node) || reduceSumSquare.is(node) ? 'sumOfSquares' : 'sum';
}

/** The reduced axes behind the batch, or why they cannot be reduced. */
function axesOf(node: Node, shape: readonly Dimension[], graph: Graph): ReadonlySet<number> | string {
  const axes = reducedAxes(node, shape.length, constantNumbers(graph, node.inputs[1]));
  const isFixed = shape.slice(1).every((size) => typeof size === 'number' && size > 0);
  if (typeof axes === 'string') return axes;
  if (!axes || !isFixed) return `reduces [${shape}]: its axes must be constants, and sizes fixed`;
  return axes.has(0) ? `reduces [${shape}] along the batch` : axes;
}

/** The real factor of a sum as a multiplier: at the exponent of averages where that leaves it bits enough. */
function multiplierOf(
  node: Node,
  scale: number,
  ratio: number,
  count: number,
): { readonly mantissa: number; readonly shift: number } {
  if (reduceSumSquare.is(node)) return toMultiplier(Math.fround(Math.fround(scale) * ratio));
  const factor = reduceMean.is(node) ? ratio / count : ratio;
  if (count > MAX_RESCALED) return toMultiplier(factor);
  const { multipliers, shift } = commonRescale([factor], [count]);
  return multipliers[0] < MIN_MULTIPLIER ? toMultiplier(factor) : { mantissa: multipliers[0], shift };
}

/**
 * [255] the least sums of squares whose root, times `ratio` and rounded to nearest, ties to even, is `lo + 1`, `lo + 2`, … up to `hi`
 * (z included), in float64.
 */
export function rootThresholds(ratio: number, zeroPoint: number, lo: number, hi: number): Int32Array {
  return Int32Array.from({ length: 255 }, (_, i) => {
    const wanted = lo + 1 + i - zeroPoint;
    if (lo + 1 + i > hi) return 2 ** 31 - 1;
    if (wanted <= 0) return 0;
    const root = (wanted - 0.5) / ratio;
    const square = root * root;
    const isTie = Number.isInteger(square);
    // A tie goes to the even neighbour, which `wanted` may be.
    const least = isTie && wanted % 2 !== 0 ? square + 1 : Math.ceil(square);
    return Math.min(least, 2 ** 31 - 1);
  });
}

interface Arranged {
  readonly x: Int8Tensor;
  /** Of the result. */
  readonly layout: Layout;
  readonly axes: ReduceOperation['axes'];
}

/** The input with whole stored axes to reduce: as it is, regrouped, or the reduced axes moved behind the others. */
function arrange(
  node: Node,
  input: Int8Tensor,
  shape: readonly number[],
  reduced: ReadonlySet<number>,
  context: LoweringContext,
): Arranged | undefined {
  const kept = shape.map((size, axis) => (reduced.has(axis) ? 1 : size));
  const arrangedAs = (x: Int8Tensor, groups: AxisGroups, result: Layout): Arranged => ({
    x,
    layout: result,
    axes: groups.map((axes) => axes.some((axis) => reduced.has(axis))) as never,
  });
  const current = axisGroups(input, shape);
  const isApart = (axes: readonly number[]) =>
    axes.every((axis) => reduced.has(axis)) || !axes.some((axis) => reduced.has(axis));
  if (current?.every(isApart)) return arrangedAs(input, current, groupedLayout(kept, current));
  const groups = runsOf(shape, reduced);
  if (groups) {
    const x = context.inLayout(node, 0, groupedLayout(shape, groups));
    return x && arrangedAs(x, groups, groupedLayout(kept, groups));
  }
  const behindBatch = [...shape.keys()].slice(1);
  const order = [...behindBatch.filter((axis) => !reduced.has(axis)), ...reduced];
  const x = permuted(node, input, shape, order, reduced.size, context);
  const count = kept.slice(1).reduce((product, size) => product * size, 1);
  return (
    x && {
      x,
      layout: { image: [1, 1, count], strides: [count, count, 1] },
      axes: [false, true, false],
    }
  );
}

/** Neighbouring axes that are all reduced or all kept, the last kept ones as channels; undefined where they are more than three. */
function runsOf(shape: readonly number[], reduced: ReadonlySet<number>): AxisGroups | undefined {
  const runs: number[][] = [];
  for (const axis of [...shape.keys()].slice(1)) {
    const run = runs.at(-1);
    if (run && reduced.has(run[0]) === reduced.has(axis)) run.push(axis);
    else runs.push([axis]);
  }
  if (runs.length > 3) return undefined;
  const channels = runs.findLast(([axis]) => !reduced.has(axis)) ?? [];
  const [columns = [], rows = []] = runs.filter((run) => run !== channels).reverse();
  return [rows, columns, channels];
}

/** The input with its axes in `order`, the last `count` as columns and the others as channels. */
function permuted(
  node: Node,
  input: Int8Tensor,
  shape: readonly number[],
  order: readonly number[],
  count: number,
  context: LoweringContext,
): Int8Tensor | undefined {
  const strides = rowMajorStrides([1, ...shape.slice(1)]);
  const sizes = order.map((axis) => shape[axis]);
  const places = [...order.keys()].map((i) => i + 1);
  const layout = groupedLayout([1, ...sizes], [[], places.slice(-count), places.slice(0, -count)]);
  const axes = () =>
    order.map((axis) => Int32Array.from({ length: shape[axis] }, (_, i) => i * strides[axis]));
  const source = isListable(sizes) ? moveSource(input, layout, { shape: sizes, axes: axes() }) : undefined;
  if (!source) {
    context.problem(node, `reduces [${shape}], which is too large to be regrouped`);
    return undefined;
  }
  const tensor = context.intermediate(node, layout, input, 'permuted');
  context.emit<MoveOperation>({
    kind: 'move',
    name: `${node.name}.permute`,
    inputs: [input.id],
    output: tensor.id,
    parts: [wholePart(tensor, source, null)],
    fill: tensor.zeroPoint,
  });
  return tensor;
}
