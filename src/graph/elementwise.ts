/**
 * ONNX's element-wise functions of one number, in float64 (https://onnx.ai/onnx/operators/). Used to fold constants and
 * to fill the 256-entry tables that these functions become between two quantized tensors.
 */
import { erf, exp, expm1, log, log1p, pow, tanh } from '../numerics/elementary.ts';
import { constantScalar, numberAttribute } from './attributes.ts';
import type { Graph, Node } from './graph.ts';

type Unary = (x: number) => number;

const sigmoid: Unary = (x) => 1 / (1 + exp(-x));
/** ln(1 + eˣ) without overflow. */
const softplus: Unary = (x) => Math.max(x, 0) + log1p(exp(-Math.abs(x)));
const elu = (x: number, alpha: number): number => (x < 0 ? alpha * expm1(x) : x);

const fixed: Readonly<Record<string, Unary>> = {
  Abs: Math.abs,
  Erf: erf,
  Exp: exp,
  HardSwish: (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)),
  Identity: (x) => x,
  Log: log,
  Mish: (x) => x * tanh(softplus(x)),
  Neg: (x) => -x,
  Reciprocal: (x) => 1 / x,
  Relu: (x) => Math.max(0, x),
  Sigmoid: sigmoid,
  Softplus: softplus,
  Softsign: (x) => x / (1 + Math.abs(x)),
  Sqrt: Math.sqrt,
  Tanh: tanh,
};

const withAttributes: Readonly<Record<string, (node: Node) => Unary>> = {
  Celu: (node) => {
    const alpha = numberAttribute(node, 'alpha', 1);
    return (x) => elu(x / alpha, 1) * alpha;
  },
  Elu: (node) => {
    const alpha = numberAttribute(node, 'alpha', 1);
    return (x) => elu(x, alpha);
  },
  Gelu: (node) =>
    node.attributes.approximate === 'tanh'
      ? (x) => 0.5 * x * (1 + tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
      : (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  HardSigmoid: (node) => {
    const alpha = numberAttribute(node, 'alpha', 0.2);
    const beta = numberAttribute(node, 'beta', 0.5);
    return (x) => Math.min(1, Math.max(0, alpha * x + beta));
  },
  LeakyRelu: (node) => {
    const alpha = numberAttribute(node, 'alpha', 0.01);
    return (x) => (x < 0 ? alpha * x : x);
  },
  Selu: (node) => {
    const alpha = numberAttribute(node, 'alpha', 1.6732631921768188);
    const gamma = numberAttribute(node, 'gamma', 1.0507010221481323);
    return (x) => gamma * elu(x, alpha);
  },
  Swish: (node) => {
    const alpha = numberAttribute(node, 'alpha', 1);
    return (x) => x * sigmoid(alpha * x);
  },
  ThresholdedRelu: (node) => {
    const alpha = numberAttribute(node, 'alpha', 1);
    return (x) => (x > alpha ? x : 0);
  },
};

const binary: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: pow,
  PRelu: (a, b) => (a < 0 ? a * b : a),
  Min: Math.min,
  Max: Math.max,
};

/** The function that `node` applies to each element of its input, undefined where it is not of one input alone. */
export function unaryFunction(graph: Graph, node: Node): Unary | undefined {
  if (node.op === 'Clip') {
    const [lo, hi] = clipBounds(graph, node) ?? [];
    return lo === undefined || hi === undefined ? undefined : (x) => Math.min(hi, Math.max(lo, x));
  }
  if (Object.hasOwn(fixed, node.op)) return fixed[node.op];
  return Object.hasOwn(withAttributes, node.op) ? withAttributes[node.op](node) : undefined;
}

/** The function of two numbers that an arithmetic node of two inputs applies, undefined for other nodes. */
export function binaryFunction(node: Node): ((a: number, b: number) => number) | undefined {
  return node.inputs.length === 2 && Object.hasOwn(binary, node.op) ? binary[node.op] : undefined;
}

/** Bounds of a Clip, infinite where left out; undefined where they are computed. */
export function clipBounds(graph: Graph, node: Node): readonly [lo: number, hi: number] | undefined {
  const [, min = '', max = ''] = node.inputs;
  const lo = min === '' ? -Infinity : constantScalar(graph, min);
  const hi = max === '' ? Infinity : constantScalar(graph, max);
  return lo === undefined || hi === undefined ? undefined : [lo, hi];
}
