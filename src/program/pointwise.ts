/** Functions of one quantized value, element by element: they become tables of 256 entries. */
import { binaryFunction, unaryFunction } from '../graph/elementwise.ts';
import type { Node } from '../graph/graph.ts';
import type { LoweringContext, PointwiseValue } from './lowering.ts';
import type { ProgramTensor } from './program.ts';

/** ONNX operators that are functions of one tensor, by themselves or with a constant. */
export const pointwiseOperators: readonly string[] = [
  'Abs',
  'Celu',
  'Clip',
  'Div',
  'Elu',
  'Erf',
  'Exp',
  'Gelu',
  'HardSigmoid',
  'HardSwish',
  'LeakyRelu',
  'Log',
  'Max',
  'Min',
  'Mish',
  'Mul',
  'Neg',
  'PRelu',
  'Pow',
  'Reciprocal',
  'Relu',
  'Selu',
  'Sigmoid',
  'Softplus',
  'Softsign',
  'Sqrt',
  'Sub',
  'Swish',
  'Tanh',
  'ThresholdedRelu',
];

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

/**
 * `table[x + 128] = quantize(f(dequantize(x)))`, f in float64.
 *
 * @throws RangeError where f gives NaN for an int8 value
 */
export function lookupTable({ tensor, f }: PointwiseValue, output: ProgramTensor): Int8Array {
  const scale = tensor.scale as number;
  return Int8Array.from({ length: 256 }, (_, i) => {
    const real = Math.fround((i - 128 - tensor.zeroPoint) * scale);
    const y = f(real);
    if (Number.isNaN(y)) throw new RangeError(`its function is not a number at ${real}`);
    return quantizeReal(y, output.scale as number, output.zeroPoint);
  });
}

/** Lowers a node that is a function of one quantized tensor and constant scalars; several in a row become one table. */
export function lowerPointwise(node: Node, context: LoweringContext): void {
  const unary = unaryFunction(context.graph, node);
  if (unary) {
    const x = context.pointwise(node, 0);
    if (x) context.bind(node, { tensor: x.tensor, f: (real) => unary(x.f(real)) });
    else context.activation(node, 0);
    return;
  }
  const binary = binaryFunction(node);
  if (!binary) {
    context.problem(node, 'its parameters must be constants');
    return;
  }
  const values = [0, 1].map((index) => context.pointwise(node, index) ?? scalarOf(node, index, context));
  const [a, b] = values;
  const tensor = values.find((value) => typeof value === 'object')?.tensor;
  if (a === undefined || b === undefined || !tensor) {
    context.problem(
      node,
      'is supported only between two quantized tensors that an addition joins, or with a constant of one element',
    );
    return;
  }
  if (values.some((value) => typeof value === 'object' && value.tensor !== tensor)) {
    context.problem(node, 'joins two tensors element by element, which Octet does for additions only');
    return;
  }
  const evaluate = (value: PointwiseValue | number, real: number) =>
    typeof value === 'number' ? value : value.f(real);
  context.bind(node, { tensor, f: (real) => binary(evaluate(a, real), evaluate(b, real)) });
}

function scalarOf(node: Node, index: number, context: LoweringContext): number | undefined {
  const plain = context.plainConstant(node, index);
  if (plain?.data.length === 1) return Number(plain.data[0]);
  const quantized = context.constant(node, index);
  return quantized?.data.length === 1
    ? (quantized.data[0] - quantized.zeroPoint[0]) * quantized.scale[0]
    : undefined;
}
