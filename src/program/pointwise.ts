/** Functions of one quantized value, element by element: they become tables of 256 entries. */
import { ModelError } from '../errors.ts';
import type { Node } from '../graph/graph.ts';
import { binaryFunction, unaryFunction } from '../graph/patterns.ts';
import type { LoweringContext, PointwiseValue } from './lowering.ts';
import type { Int8Tensor } from './program.ts';

/** `saturate(rint(x / scale) + zeroPoint)`: ONNX QuantizeLinear, the division in float32, ties to even. */
export function quantizeReal(real: number, scale: number, zeroPoint: number): number {
  const q = roundFloat32(Math.fround(Math.fround(real) / scale)) + zeroPoint;
  return q < -128 ? -128 : q > 127 ? 127 : q;
}

/** Rounds a float32 to an integer, ties to even; infinities stay. */
function roundFloat32(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (Number.isNaN(fraction)) return x;
  return fraction > 0.5 || (fraction === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

/** What the value is for each integer of its tensor, from −128 on. */
export function realValues({ tensor, values }: PointwiseValue): Float64Array {
  const scale = tensor.scale;
  return (
    values ?? Float64Array.from({ length: 256 }, (_, i) => Math.fround((i - 128 - tensor.zeroPoint) * scale))
  );
}

/**
 * `table[x + 128] = quantize(value(x))`.
 *
 * @throws ModelError where the value is not a number for some x
 */
export function lookupTable(value: PointwiseValue, output: Int8Tensor): Int8Array {
  const reals = realValues(value);
  const bad = reals.findIndex(Number.isNaN);
  if (bad >= 0) {
    throw new ModelError(`its function is not a number where its input, an int8, is ${bad - 128}`);
  }
  return Int8Array.from(reals, (real) => quantizeReal(real, output.scale, output.zeroPoint));
}

/**
 * Lowers a node that is a function of one quantized tensor and constant scalars; several in a row become one
 * table.
 */
export function lowerPointwise(node: Node, context: LoweringContext): void {
  const unary = unaryFunction(context.graph, node);
  if (unary) {
    const x = context.pointwise(node, 0);
    if (x) context.bind(node, { tensor: x.tensor, values: realValues(x).map(unary) });
    else context.activation(node, 0);
    return;
  }
  const binary = binaryFunction(context.graph, node);
  if (!binary) {
    context.problem(node, 'its parameters must be constants');
    return;
  }
  const operands = [0, 1].map((index) => context.pointwise(node, index) ?? scalarOf(node, index, context));
  // Broadcasting may pair each element with others, or put the batch elsewhere than first.
  const reshaped = [0, 1].filter(
    (index) => typeof operands[index] === 'object' && !keepsShape(node, index, context),
  );
  const tensors = new Set(
    operands.flatMap((operand) => (typeof operand === 'object' ? [operand.tensor] : [])),
  );
  const [tensor] = tensors;
  const [a, b] = operands.map((operand) => (typeof operand === 'object' ? realValues(operand) : operand));
  if (a === undefined || b === undefined || tensors.size === 0) {
    context.problem(
      node,
      'is supported only between two quantized tensors that a sum or product joins, or with a constant of one element',
    );
  } else if (tensors.size > 1) {
    context.problem(
      node,
      'joins two tensors element by element, which Octet does for sums and products only',
    );
  } else if (reshaped.length > 0) {
    context.problem(
      node,
      `makes [${context.graph.values.get(node.outputs[0])?.shape.join() ?? '?'}] of ${operandShapes(node, context)}; broadcasting is not supported`,
    );
  } else {
    const at = (operand: Float64Array | number, i: number) =>
      typeof operand === 'number' ? operand : operand[i];
    context.bind(node, {
      tensor,
      values: Float64Array.from({ length: 256 }, (_, i) => binary(at(a, i), at(b, i))),
    });
  }
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

function scalarOf(node: Node, index: number, context: LoweringContext): number | undefined {
  const plain = context.plainConstant(node, index);
  if (plain?.data.length === 1) return Number(plain.data[0]);
  const quantized = context.constant(node, index);
  return quantized?.data.length === 1
    ? (quantized.data[0] - quantized.zeroPoint[0]) * quantized.scale[0]
    : undefined;
}
