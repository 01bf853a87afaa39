import type { Node } from '../../graph/graph.ts';
import { div } from '../../graph/operators/div.ts';
import { max } from '../../graph/operators/max.ts';
import { min } from '../../graph/operators/min.ts';
import { mul } from '../../graph/operators/mul.ts';
import { pRelu } from '../../graph/operators/p-relu.ts';
import { pow } from '../../graph/operators/pow.ts';
import { sub } from '../../graph/operators/sub.ts';
import { binaryFunction } from '../../graph/patterns.ts';
import { broadcastStrides } from '../../graph/strided.ts';
import { axisGroups, type AxisGroups, channelEntries, groupedLayout } from '../../program/layouts.ts';
import type { LoweringContext, PointwiseValue } from '../../program/lowering.ts';
import { isListable, moveSource, wholePart } from '../../program/move.ts';
import { commonRescale, requantizeMultiplier } from '../../program/multiplier.ts';
import {
  hasConstantOperand,
  lookupTable,
  lowerPointwise,
  operandShapes,
  quantizeReal,
  realValues,
} from '../../program/pointwise.ts';
import {
  type BinaryOperation,
  imageLayout,
  type Int8Tensor,
  type LookupOperation,
  type MoveOperation,
  type Rescale,
  sameLayout,
} from '../../program/program.ts';

/** Largest difference of an int8 and its zero point. */
const LARGEST = 255;

export function lowerBinary(node: Node, context: LoweringContext): void {
  const isProduct = mul.is(node);
  const isExtreme = max.is(node) || min.is(node);
  const isEntry = div.is(node) || pow.is(node) || pRelu.is(node);
  const [p, q] = [context.pointwise(node, 0), context.pointwise(node, 1)];
  const isOfOneTensor = p !== undefined && p.tensor === q?.tensor;
  // A function times another of one tensor (SiLU) is a table; so is a sum of two, but not of a tensor and itself.
  const isTable = isOfOneTensor && (isProduct || isExtreme || isEntry || p.values !== q.values);
  const isOfConstant = hasConstantOperand(node, context);
  if (node.inputs.length !== 2 || isTable || (isOfConstant && !isOfPlaces(node, context))) {
    lowerPointwise(node, context);
    return;
  }
  const result = context.graph.values.get(node.outputs[0])?.shape ?? [];
  const shapes = [0, 1].map((index) => shapeOf(node, index, context));
  if (!shapes.every((shape) => shape && fits(shape, result)) || !result.slice(1).every(isSize)) {
    context.problem(
      node,
      `joins ${operandShapes(node, context)}; they must be of one rank, with fixed sizes behind the batch`,
    );
    return;
  }
  const sizes = [1, ...result.slice(1)] as number[];
  const [a, b] = shapes as [number[], number[]];
  // The first operand fills the result; of two that do not, one is repeated.
  const isSwapped = !isAlike(a, sizes) && isAlike(b, sizes);
  const order = isSwapped ? [1, 0] : [0, 1];
  const values = order.map((index) => operand(node, index, isExtreme || isEntry, context));
  const [first, second] = values;
  if (!first || !second) return;
  const firstSizes = isSwapped ? b : a;
  const usual = imageLayout(result)!;
  const layout = isAlike(firstSizes, sizes) && axisGroups(first.tensor, sizes) ? first.tensor : usual;
  const groups = axisGroups(layout, sizes);
  const image = groups && laidOut(node, order[0], first, firstSizes, sizes, groups, true, context);
  const other = groups && laidOut(node, order[1], second, isSwapped ? a : b, sizes, groups, false, context);
  if (!image || !other) {
    context.problem(node, `joins ${operandShapes(node, context)}, which are too large to be regrouped`);
    return;
  }
  const output = context.output(node, image.tensor);
  if (!output) return;
  const { tensor, lo, hi } = output;
  const joined = { kind: 'binary', name: node.name, output: tensor.id } as const;
  const unscaled = {
    ...{ multipliers: Int32Array.of(1, 1), inputZeroPoints: Int32Array.of(0, 0), shift: 0 },
    zeroPoint: 0,
  };
  const emit = (of: BinaryOperation['function'], inputs: readonly Int8Tensor[], rescale: Rescale): void =>
    context.emit<BinaryOperation>({ ...joined, function: of, inputs: inputs.map(({ id }) => id), rescale });
  if (isExtreme) {
    const inputs = [image, other].map((value, i) => quantizedAs(node, value, tensor, i, context));
    emit(max.is(node) ? 'maximum' : 'minimum', inputs, { ...unscaled, lo, hi });
    return;
  }
  if (isEntry) {
    const table = entries(node, image, other, tensor, isSwapped, context);
    const inputs = [image.tensor.id, other.tensor.id];
    const rescale = { ...unscaled, lo, hi };
    if (table) context.emit<BinaryOperation>({ ...joined, function: 'entry', inputs, rescale, table });
    return;
  }
  const inputs = [image.tensor, other.tensor];
  // A difference is taken in the given order: the sign goes with the tensor, whichever place it has.
  const signs = sub.is(node) ? (isSwapped ? [-1, 1] : [1, -1]) : [1, 1];
  const { multipliers, shift } = isProduct
    ? commonRescale([requantizeMultiplier(inputs[0].scale, inputs[1].scale, tensor.scale)], [LARGEST])
    : commonRescale(
        inputs.map(({ scale }) => Math.fround(scale / tensor.scale)),
        [1, 1],
      );
  emit(isProduct ? 'product' : 'sum', inputs, {
    multipliers: isProduct ? multipliers : multipliers.map((m, i) => m * signs[i]),
    shift,
    inputZeroPoints: Int32Array.from(inputs, ({ zeroPoint }) => zeroPoint),
    zeroPoint: tensor.zeroPoint,
    lo,
    hi,
  });
}

const isSize = (size: number | string): size is number => typeof size === 'number' && size > 0;

function isAlike(a: readonly number[], b: readonly number[]): boolean {
  return a.join() === b.join();
}

/** Whether a shape, 1 in front, broadcasts to `result` without a change of its rank or its batch. */
function fits(shape: readonly number[], result: readonly (number | string)[]): boolean {
  return (
    shape.length === result.length &&
    shape.every((size, axis) => axis === 0 || size === 1 || size === result[axis])
  );
}

/** The shape of an operand with 1 for the batch, undefined where sizes are not fixed; a constant's has the rank of the other operand. */
function shapeOf(node: Node, index: number, context: LoweringContext): number[] | undefined {
  const shape = context.shape(node, index);
  if (!shape?.slice(1).every(isSize)) return undefined;
  const rank = context.graph.values.get(node.outputs[0])?.shape.length ?? 0;
  if (!context.reals(node, index)) {
    return context.graph.values.get(node.outputs[0])?.shape[0] === shape[0]
      ? ([1, ...shape.slice(1)] as number[])
      : undefined;
  }
  const missing = rank - shape.length;
  const aligned = missing > 0 ? [...Array<number>(missing).fill(1), ...shape] : shape;
  return aligned[0] === 1 ? (aligned as number[]) : undefined;
}

/** Whether one operand is a quantized constant that differs from pixel to pixel: a tensor like another, not a table. */
function isOfPlaces(node: Node, context: LoweringContext): boolean {
  return [0, 1].some((index) => {
    const quantized = context.constant(node, index);
    const value = context.pointwise(node, 1 - index);
    if (quantized?.scale.length !== 1 || !(quantized.data instanceof Int8Array) || !value) return false;
    const sizes = shapeOf(node, 1 - index, context);
    const own = shapeOf(node, index, context);
    if (!sizes || own?.length !== sizes.length) return false;
    const isOfOneAxis = own.filter((size) => size > 1).length < 2;
    return !isOfOneAxis && !channelEntries(value.tensor, sizes, own);
  });
}

/** An operand: a quantized activation, or, where it is looked up in a table anyway, a function of one, or a constant held as a tensor. */
function operand(
  node: Node,
  index: number,
  mayBeFunction: boolean,
  context: LoweringContext,
): PointwiseValue | undefined {
  const constant = context.constant(node, index);
  const reals = constant && context.reals(node, index);
  const shape = shapeOf(node, index, context);
  if (constant && reals && shape) {
    const like = { scale: constant.scale[0], zeroPoint: constant.zeroPoint[0] };
    return { tensor: context.held(node, reals.data, imageLayout(shape)!, like), values: null };
  }
  const value = mayBeFunction ? context.pointwise(node, index) : undefined;
  if (value) return value;
  const tensor = context.activation(node, index);
  return tensor && { tensor, values: null };
}

/**
 * An operand of `shape` in the layout that stores `groups` of the result's axes, each of them whole or once; repeated to `sizes` where
 * that cannot be, or where it must be `whole`.
 */
function laidOut(
  node: Node,
  index: number,
  value: PointwiseValue,
  shape: readonly number[],
  sizes: readonly number[],
  groups: AxisGroups,
  whole: boolean,
  context: LoweringContext,
): PointwiseValue | undefined {
  const keeps = (axes: readonly number[], size: (axis: number) => number) =>
    axes.every((axis) => shape[axis] === size(axis));
  const isStored = groups.every(
    (axes) => keeps(axes, (axis) => sizes[axis]) || (!whole && keeps(axes, () => 1)),
  );
  const own = isStored ? shape : sizes;
  const layout = groupedLayout(own, groups);
  if (isStored && sameLayout(value.tensor, layout)) return value;
  const moved = isStored ? context.pointwise(node, index, layout) : undefined;
  if (moved) return moved;
  const strides = broadcastStrides(shape.slice(1), own.slice(1));
  const axes = strides.map((stride, axis) =>
    Int32Array.from({ length: own[axis + 1] }, (_, i) => i * stride),
  );
  // Tables of channels are of the channels as they lie.
  const isMovable = isListable(own.slice(1)) && (value.values?.length ?? 0) <= 256;
  const source = isMovable ? moveSource(value.tensor, layout, { shape: own.slice(1), axes }) : undefined;
  if (!source) return undefined;
  const tensor = context.intermediate(node, layout, value.tensor, `operand${index}`);
  context.emit<MoveOperation>({
    kind: 'move',
    name: `${node.name}.operand${index}`,
    inputs: [value.tensor.id],
    output: tensor.id,
    parts: [wholePart(tensor, source, null)],
    fill: tensor.zeroPoint,
  });
  return { tensor, values: value.values };
}

/** What becomes of each pair of integers; 0 / 0, which has no value, is 0. Undefined, and a problem, where another pair has none. */
function entries(
  node: Node,
  first: PointwiseValue,
  second: PointwiseValue,
  output: Int8Tensor,
  isSwapped: boolean,
  context: LoweringContext,
): Int8Array | undefined {
  const of = binaryFunction(context.graph, node)!;
  const [a, b] = [first, second].map(realValues);
  const table = new Int8Array(256 * 256);
  for (let i = 0; i < table.length; i++) {
    const [x, y] = [a[i >> 8], b[i & 255]];
    const real = isSwapped ? of(y, x) : of(x, y);
    if (Number.isNaN(real) && (x !== 0 || y !== 0)) {
      context.problem(node, `its function is not a number where its inputs are ${x} and ${y}`);
      return undefined;
    }
    table[i] = quantizeReal(Number.isNaN(real) ? 0 : real, output.scale, output.zeroPoint);
  }
  return table;
}

/** The integers of a value with the scale and zero point of `like`. */
function quantizedAs(
  node: Node,
  value: PointwiseValue,
  like: Int8Tensor,
  index: number,
  context: LoweringContext,
): Int8Tensor {
  const { tensor } = value;
  const isSame = value.values === null && tensor.scale === like.scale && tensor.zeroPoint === like.zeroPoint;
  if (isSame) return tensor;
  const output = context.intermediate(node, tensor, like, `quantized${index}`);
  context.emit<LookupOperation>({
    kind: 'lookup',
    name: `${node.name}.requantize`,
    inputs: [tensor.id],
    output: output.id,
    table: lookupTable(value, output),
  });
  return output;
}
