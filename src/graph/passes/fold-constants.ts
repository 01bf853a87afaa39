import { constantNumbers, numberAttribute, resolveAxis } from '../attributes.ts';
import { dtypeFromNumber, isFloat } from '../dtypes.ts';
import { binaryFunction, unaryFunction } from '../elementwise.ts';
import { broadcastStrides, copyStrided, rowMajorStrides, sliceRanges } from '../strided.ts';
import type { Dimension, DType, Graph, Node, Tensor, TensorData } from '../graph.ts';
import { narrowBfloat16, narrowFloat16, roundToEven, widenBfloat16, widenFloat16 } from '../half.ts';

/** Elements that folding may still allocate, over all its turns on one graph. */
export interface FoldingBudget {
  left: number;
}

/**
 * Four times the constants of `graph`, and a million. Honest models stay far below; a chain of Concats that double a
 * constant does not.
 */
export function foldingBudget(graph: Graph): FoldingBudget {
  let left = 2 ** 20;
  for (const { data } of graph.constants.values()) left += 4 * data.length;
  return { left };
}

/**
 * Computes what depends on constants alone, and on shapes that are known. Expects inferred shapes. Quantized weights stay
 * behind their DequantizeLinear. Casts and reshapes share their input's data.
 */
export function foldConstants(graph: Graph, budget = foldingBudget(graph)): Graph {
  const constants = new Map(graph.constants);
  const current: Graph = { ...graph, constants };
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  /** What Shape nodes give, some of it symbolic. */
  const shapes = new Map<string, readonly Dimension[]>();
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const shape = graph.values.get(output)?.shape ?? [];
    const size = shape.reduce<number>((product, dim) => product * Number(dim), 1);
    const affordable = size <= budget.left && !outputs.has(output);
    const dims = node.op === 'Shape' ? shapeOf(graph, node) : undefined;
    if (dims) shapes.set(output, dims);
    const tensor = affordable ? (evaluate(current, node) ?? evaluateSizes(current, node, shapes)) : undefined;
    if (!tensor) {
      nodes.push(node);
      continue;
    }
    constants.set(output, tensor);
    if (!node.inputs.some((input) => constants.get(input)?.data === tensor.data)) budget.left -= size;
  }
  return nodes.length === graph.nodes.length ? graph : { ...current, nodes };
}

function evaluate(graph: Graph, node: Node): Tensor | undefined {
  const name = node.outputs[0];
  const inputs = node.inputs.filter(Boolean).map((input) => graph.constants.get(input));
  if (!inputs.every((input) => input !== undefined) || node.outputs.length !== 1) return undefined;
  const [x, ...rest] = inputs;
  const shape = graph.values.get(name)?.shape;
  if (!x || !shape?.every((dim) => typeof dim === 'number')) return undefined;

  switch (node.op) {
    case 'Identity':
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
      return { name, dtype: x.dtype, shape, data: x.data };
    case 'Cast':
      return cast(x, dtypeFromNumber(numberAttribute(node, 'to', 0)), name);
    case 'Gather':
      return rest[0] && gatherElements(x, rest[0], name, shape);
    case 'Slice':
      return sliceElements(graph, node, x, name, shape);
    case 'Transpose':
      return transpose(node, x, name, shape);
    case 'ConstantOfShape':
      return fill(node, name, shape);
    case 'Concat':
      return concatElements(inputs, name, shape);
    case 'QuantizeLinear':
      return quantize(x, rest, node, name, graph.values.get(name)?.dtype);
    default:
      return arithmetic(graph, node, inputs, name, shape);
  }
}

/** What a Shape node gives. */
function shapeOf(graph: Graph, node: Node): readonly Dimension[] | undefined {
  const input = node.inputs[0];
  const dims = (graph.values.get(input) ?? graph.constants.get(input))?.shape;
  return dims?.slice(numberAttribute(node, 'start', 0), numberAttribute(node, 'end', dims.length));
}

/** A Shape, or what a Gather picks of one, where all of it is numbers. */
function evaluateSizes(
  graph: Graph,
  { op, inputs, outputs: [name] }: Node,
  shapes: ReadonlyMap<string, readonly Dimension[]>,
): Tensor | undefined {
  if (op === 'Shape') {
    const dims = shapes.get(name);
    return dims && int64Tensor(name, dims, [dims.length]);
  }
  const dims = shapes.get(inputs[0]);
  const indices = graph.constants.get(inputs[1] ?? '');
  if (op !== 'Gather' || !dims || !indices) return undefined;
  const picked = Array.from(indices.data as ArrayLike<number | bigint>, (index) => dims.at(Number(index)));
  return int64Tensor(name, picked, indices.shape);
}

function int64Tensor(
  name: string,
  values: readonly (Dimension | undefined)[],
  shape: readonly number[],
): Tensor | undefined {
  if (!values.every((value) => typeof value === 'number')) return undefined;
  return { name, dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) };
}

/** Casts that are met in practice; others, undefined, stay in the graph. */
function cast(x: Tensor, dtype: DType | undefined, name: string): Tensor | undefined {
  const { shape } = x;
  if (dtype === x.dtype) return { ...x, name };
  const floats = (): Float32Array =>
    x.data instanceof Float32Array ? x.data : Float32Array.from(x.data, Number);
  if (dtype === 'float32') return { name, dtype, shape, data: floats() };
  if (dtype === 'float16') return { name, dtype, shape, data: widenFloat16(narrowFloat16(floats())) };
  if (dtype === 'bfloat16') return { name, dtype, shape, data: widenBfloat16(narrowBfloat16(floats())) };
  if (dtype === 'float64') return { name, dtype, shape, data: Float64Array.from(x.data, Number) };
  if (dtype === 'int64' && !isFloat(x.dtype)) {
    return { name, dtype, shape, data: BigInt64Array.from(x.data, BigInt) };
  }
  return undefined;
}

type ArrayConstructor = new (length: number) => TensorData;

function gatherElements(
  x: Tensor,
  indices: Tensor,
  name: string,
  shape: readonly number[],
): Tensor | undefined {
  if (x.shape.length !== 1) return undefined;
  const positions = Array.from(indices.data, Number).map((index) => resolveAxis(index, x.data.length));
  if (!positions.every((position) => position !== undefined)) return undefined;
  const data = new (x.data.constructor as ArrayConstructor)(positions.length);
  for (const [i, position] of positions.entries()) data[i] = x.data[position]!;
  return { name, dtype: x.dtype, shape, data };
}

function sliceElements(
  graph: Graph,
  node: Node,
  x: Tensor,
  name: string,
  shape: readonly number[],
): Tensor | undefined {
  const ranges = sliceRanges(node, x.shape, (name) => constantNumbers(graph, name));
  if (!ranges) return undefined;
  const strides = rowMajorStrides(x.shape);
  let offset = 0;
  for (const [axis, { start, step }] of ranges) {
    offset += start * strides[axis];
    strides[axis] *= step;
  }
  return { name, dtype: x.dtype, shape, data: copyStrided(x.data, shape, strides, offset) };
}

function transpose(node: Node, x: Tensor, name: string, shape: readonly number[]): Tensor {
  const strides = rowMajorStrides(x.shape);
  const order = node.attributes.perm;
  const axes = Array.isArray(order) ? order.map(Number) : [...strides.keys()].reverse();
  return {
    name,
    dtype: x.dtype,
    shape,
    data: copyStrided(
      x.data,
      shape,
      axes.map((axis) => strides[axis]),
    ),
  };
}

function fill(node: Node, name: string, shape: readonly number[]): Tensor | undefined {
  const { value } = node.attributes;
  const zero: Tensor = { name, dtype: 'float32', shape: [1], data: Float32Array.of(0) };
  const tensor = typeof value === 'object' && 'dtype' in value ? value : zero;
  if (tensor.data.length !== 1) return undefined;
  const strides = broadcastStrides([1], shape);
  return { name, dtype: tensor.dtype, shape, data: copyStrided(tensor.data, shape, strides) };
}

function concatElements(
  parts: readonly Tensor[],
  name: string,
  shape: readonly number[],
): Tensor | undefined {
  const { dtype, data: first } = parts[0];
  if (parts.some((part) => part.dtype !== dtype || part.shape.length !== 1)) return undefined;
  const data = new (first.constructor as ArrayConstructor)(shape[0]);
  let offset = 0;
  for (const part of parts) {
    data.set(part.data as never, offset);
    offset += part.data.length;
  }
  return { name, dtype, shape, data };
}

/** QuantizeLinear of float weights, which some exporters leave in front of their DequantizeLinear. */
function quantize(
  x: Tensor,
  parameters: readonly Tensor[],
  node: Node,
  name: string,
  dtype: DType | undefined,
): Tensor | undefined {
  const [scale, zeroPoint] = parameters;
  if (!(x.data instanceof Float32Array) || !scale || (dtype !== 'int8' && dtype !== 'uint8'))
    return undefined;
  const [least, most] = dtype === 'int8' ? [-128, 127] : [0, 255];
  const axis = resolveAxis(numberAttribute(node, 'axis', 1), x.shape.length) ?? 0;
  const inner = x.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const perAxis = scale.data.length > 1;
  const data = dtype === 'int8' ? new Int8Array(x.data.length) : new Uint8Array(x.data.length);
  for (let i = 0; i < data.length; i++) {
    const slice = perAxis ? Math.floor(i / inner) % scale.data.length : 0;
    const q =
      roundToEven(Math.fround(x.data[i] / Number(scale.data[slice]))) + Number(zeroPoint?.data[slice] ?? 0);
    data[i] = Math.min(most, Math.max(least, q));
  }
  return { name, dtype, shape: x.shape, data };
}

/** Arithmetic of float32 constants, each result rounded to float32, and of int64 ones, which sizes are computed with. */
function arithmetic(
  graph: Graph,
  node: Node,
  inputs: readonly Tensor[],
  name: string,
  shape: readonly number[],
): Tensor | undefined {
  const [a, b] = inputs;
  if (inputs.every(({ data }) => data instanceof BigInt64Array)) return integers(node, inputs, name, shape);
  if (!inputs.every(({ data }) => data instanceof Float32Array)) return undefined;
  const of = unaryFunction(graph, node);
  if (of) return { name, dtype: 'float32', shape, data: (a.data as Float32Array).map(of) };
  const ofTwo = binaryFunction(node);
  if (!ofTwo || !b) return undefined;
  const [left, right] = [a, b].map((tensor) => broadcast(tensor, shape) as Float32Array);
  return { name, dtype: 'float32', shape, data: left.map((value, i) => ofTwo(value, right[i])) };
}

function integers(
  node: Node,
  [a, b]: readonly Tensor[],
  name: string,
  shape: readonly number[],
): Tensor | undefined {
  const ofTwo = integerFunctions[node.op];
  if (!ofTwo || !b) return undefined;
  const [left, right] = [a, b].map((tensor) => broadcast(tensor, shape) as BigInt64Array);
  if (node.op === 'Div' && right.includes(0n)) return undefined;
  return {
    name,
    dtype: 'int64',
    shape,
    data: left.map((value, i) => BigInt.asIntN(64, ofTwo(value, right[i]))),
  };
}

const integerFunctions: Readonly<Record<string, ((a: bigint, b: bigint) => bigint) | undefined>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
};

function broadcast({ data, shape: own }: Tensor, shape: readonly number[]): TensorData {
  return copyStrided(data, shape, broadcastStrides(own, shape));
}
