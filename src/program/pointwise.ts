/** Functions of one quantized value, element by element: they become tables of 256 entries, one or one for each channel. */
import { ModelError } from '../errors.ts';
import type { Node } from '../graph/graph.ts';
import type { OnnxOperator } from '../graph/operators/operator.ts';
import { operatorOf } from '../graph/operators/registry.ts';
import { binaryFunction, unaryFunction } from '../graph/patterns.ts';
import { channelEntries, groupedLayout, groupsWithin } from './layouts.ts';
import type { LoweringContext, PointwiseValue } from './lowering.ts';
import { roundHalfToEven } from './multiplier.ts';
import type { Int8Tensor } from './program.ts';

/** `rint(x / scale) + zeroPoint`: ONNX QuantizeLinear before it saturates, the division in float32, ties to even. */
export function roundReal(real: number, scale: number, zeroPoint: number): number {
  return roundHalfToEven(Math.fround(Math.fround(real) / scale)) + zeroPoint;
}

/** `saturate(rint(x / scale) + zeroPoint)`: ONNX QuantizeLinear to int8. */
export function quantizeReal(real: number, scale: number, zeroPoint: number): number {
  const q = roundReal(real, scale, zeroPoint);
  return q < -128 ? -128 : q > 127 ? 127 : q;
}

/** What the value is for each integer of its tensor, from −128 on: one list, or one for each channel. */
export function realValues({ tensor, values }: PointwiseValue): Float64Array {
  const scale = tensor.scale;
  return (
    values ?? Float64Array.from({ length: 256 }, (_, i) => Math.fround((i - 128 - tensor.zeroPoint) * scale))
  );
}

/**
 * `table[x + 128] = quantize(value(x))`, for each channel where the value is one of its channel.
 *
 * @throws ModelError where the value is not a number for some x
 */
export function lookupTable(value: PointwiseValue, output: Int8Tensor): Int8Array {
  const reals = realValues(value);
  const bad = reals.findIndex(Number.isNaN);
  if (bad >= 0) {
    throw new ModelError(`its function is not a number where its input, an int8, is ${(bad % 256) - 128}`);
  }
  return Int8Array.from(reals, (real) => quantizeReal(real, output.scale, output.zeroPoint));
}

/**
 * Lowers a node that is a function of one quantized tensor and constants that do not vary within a channel; several in a row become one
 * table, or one for each channel.
 */
export function lowerPointwise(node: Node, context: LoweringContext): void {
  const { graph } = context;
  const unary = unaryFunction(graph, node);
  if (unary) {
    const x = context.pointwise(node, 0);
    if (x) context.bind(node, { tensor: x.tensor, values: realValues(x).map(unary) });
    else context.activation(node, 0);
    return;
  }
  const row = operatorOf(graph, node);
  if (row?.channelwise) {
    lowerChannelwise(node, row, context);
    return;
  }
  const binary = binaryFunction(graph, node);
  if (!binary) {
    context.problem(node, 'its parameters must be constants');
    return;
  }
  const values = [0, 1].map((index) => context.pointwise(node, index));
  const constants = [0, 1].map((index) =>
    values[index] ? undefined : constantOperand(node, index, context),
  );
  const operands = [0, 1].map((index): ChannelOperand | undefined => {
    const [value, other] = [values[index], constants[1 - index]];
    if (other !== undefined && typeof other !== 'number')
      return alongChannels(node, index, other.shape, context);
    return value && { value, entries: undefined };
  });
  // Broadcasting may pair each element with others, or put the batch elsewhere than first.
  const reshaped = [0, 1].filter((index) => values[index] && !keepsShape(node, index, context));
  const tensors = new Set(operands.flatMap((operand) => (operand ? [operand.value.tensor] : [])));
  const [tensor] = tensors;
  if (tensors.size > 1) {
    context.problem(
      node,
      'joins two tensors element by element, which Octet does for sums, products, Max and Min only',
    );
  } else if (
    values.some((value, index) => !value && constants[index] === undefined) ||
    !values.some(Boolean)
  ) {
    context.problem(
      node,
      'is supported only between two quantized tensors that a sum or product joins, or of one and a constant',
    );
  } else if (reshaped.length > 0) {
    context.problem(
      node,
      `makes [${graph.values.get(node.outputs[0])?.shape.join() ?? '?'}] of ${operandShapes(node, context)}; broadcasting is not supported`,
    );
  } else if (tensors.size === 0) {
    context.problem(
      node,
      `joins ${operandShapes(node, context)}, of which the constant must have one element, or one for each channel`,
    );
  } else {
    const entries = operands.find((operand) => operand?.entries)?.entries;
    const terms = [0, 1].map((index) => termOf(operands[index]?.value, constants[index], entries));
    const isOfChannels = entries !== undefined || operands.some((operand) => isLong(operand?.value));
    const length = isOfChannels ? tensor.image[2] * 256 : 256;
    const results = Float64Array.from({ length }, (_, i) => binary(terms[0](i), terms[1](i)));
    context.bind(node, { tensor, values: results });
  }
}

/** The elements of one operand for each entry of the tables. */
function termOf(
  value: PointwiseValue | undefined,
  constant: Constant | undefined,
  entries: Int32Array | undefined,
): (i: number) => number {
  if (value) {
    const reals = realValues(value);
    return (i) => reals[i % reals.length];
  }
  if (typeof constant === 'number') return () => constant;
  return (i) => constant!.data[entries![i >> 8]];
}

function lowerChannelwise(node: Node, row: OnnxOperator, context: LoweringContext): void {
  const of = row.channelwise!(node, (name) => context.reals(node, node.inputs.indexOf(name))?.data);
  if (!of) {
    context.problem(node, 'its parameters must be constants');
    return;
  }
  if (!context.pointwise(node, 0)) {
    context.activation(node, 0);
    return;
  }
  const shape = context.shape(node, 0) ?? [];
  const channels = shape.map((size, axis) => (axis === 1 ? Number(size) : 1));
  const operand = alongChannels(node, 0, channels, context);
  if (!operand) {
    context.problem(node, `its input, of shape [${shape}], has channels that cannot be stored side by side`);
    return;
  }
  const { value, entries } = operand;
  const reals = realValues(value);
  const values = Float64Array.from({ length: entries.length * 256 }, (_, i) =>
    of(reals[i % reals.length], entries[i >> 8]),
  );
  context.bind(node, { tensor: value.tensor, values });
}

function isLong(value: PointwiseValue | undefined): boolean {
  return (value?.values?.length ?? 0) > 256;
}

/** An operand in a layout in which each channel meets one element of a constant of `constantShape`, and which one. */
interface ChannelOperand {
  readonly value: PointwiseValue;
  /** Undefined where the constant has one element. */
  readonly entries: Int32Array | undefined;
}

function alongChannels(
  node: Node,
  index: number,
  constantShape: readonly number[],
  context: LoweringContext,
): (ChannelOperand & { readonly entries: Int32Array }) | undefined {
  const value = context.pointwise(node, index);
  const shape = context.shape(node, index);
  if (!value || !shape?.slice(1).every((size) => typeof size === 'number')) return undefined;
  const sizes = [1, ...shape.slice(1)] as number[];
  if (constantShape.length > sizes.length) return undefined;
  const aligned = [...Array<number>(sizes.length - constantShape.length).fill(1), ...constantShape];
  const direct = channelEntries(value.tensor, sizes, aligned);
  if (direct) return { value, entries: direct };
  const axes = aligned.flatMap((size, axis) => (size > 1 ? [axis] : []));
  if (axes.length !== 1 || axes[0] === 0) return undefined;
  const layout = groupedLayout(sizes, groupsWithin(sizes.length, axes[0]));
  const moved = context.pointwise(node, index, layout);
  const entries = moved && channelEntries(moved.tensor, sizes, aligned);
  return entries && { value: moved, entries };
}

/** Whether the node's result has the shape of operand `index`, but for the batch; unknown shapes are never renamed, so they stay. */
function keepsShape({ inputs, outputs }: Node, index: number, { graph }: LoweringContext): boolean {
  const from = graph.values.get(inputs[index])?.shape;
  const to = graph.values.get(outputs[0])?.shape;
  return !from || !to || (from.length === to.length && from.slice(1).join() === to.slice(1).join());
}

/** Whether one of the operands is constant: the node is then a function of one tensor. */
export function hasConstantOperand(node: Node, context: LoweringContext): boolean {
  return [0, 1].some((index) => context.constant(node, index) ?? context.plainConstant(node, index));
}

/** The operands' ONNX shapes, for messages: `[N,3,4,4] and [N,3]`. */
export function operandShapes({ inputs }: Node, { graph }: LoweringContext): string {
  return inputs
    .map((name) => `[${(graph.values.get(name) ?? graph.constants.get(name))?.shape.join() ?? '?'}]`)
    .join(' and ');
}

/** A constant: its one element, or all of them. */
type Constant = number | { readonly data: ArrayLike<number>; readonly shape: readonly number[] };

function constantOperand(node: Node, index: number, context: LoweringContext): Constant | undefined {
  const plain = context.plainConstant(node, index);
  if (plain?.data.length === 1) return Number(plain.data[0]);
  const quantized = context.constant(node, index);
  return quantized?.data.length === 1
    ? (quantized.data[0] - quantized.zeroPoint[0]) * quantized.scale[0]
    : context.reals(node, index);
}
