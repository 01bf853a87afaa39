/** Types and shapes of all values of a graph, from its inputs and constants. A symbolic batch stays symbolic. */
import { constantNumbers, MAX_LIST, numberAttribute, resolveAxis } from './attributes.ts';
import { dtypeFromNumber } from './dtypes.ts';
import { slidingWindow } from './geometry.ts';
import type { Dimension, DType, Graph, Node, Tensor, ValueInfo } from './graph.ts';
import { Problems } from './problems.ts';
import { type NumbersOf, sliceRanges, splitSizes } from './strided.ts';

type Shape = readonly Dimension[];

interface Known {
  readonly dtype: DType;
  readonly shape: Shape;
}

interface Context {
  readonly graph: Graph;
  /** Elements of a small integer tensor, some perhaps symbolic: what exporters compute the shape of a Reshape with. */
  elements(name: string | undefined): Shape | undefined;
  /** The same, where none is symbolic. */
  readonly numbers: NumbersOf;
}

/** A shape (the type is the first input's), type and shape, shapes of several outputs, what is wrong, or undefined: cannot be told. */
type Result = Shape | Known | { readonly outputs: readonly Shape[] } | string | undefined;
/** `x` is the first input; `rest` the others, undefined where left out. */
type Rule = (x: Known, rest: readonly (Known | undefined)[], node: Node, context: Context) => Result;

/** Most elements that a value may have. */
const MAX_ELEMENTS = 2 ** 31 - 1;

/**
 * Fills `values` with type and shape of every value that can be told, and the shapes of the outputs. What the file
 * declares is kept for results of operators unknown here, and otherwise replaced.
 * @param problems Where given, takes the problems instead of a ModelError. Nodes it has a problem with already are passed over.
 * @throws ModelError with every node whose inputs do not fit it.
 */
export function inferShapes(graph: Graph, problems?: Problems): Graph {
  const found = problems ?? new Problems(graph.opset);
  const outputs = new Map(graph.outputs.map((info) => [info.name, info]));
  const values = new Map<string, ValueInfo>(graph.inputs.map((info) => [info.name, info]));
  const elements = new Map<string, Shape>();
  const context: Context = {
    graph,
    elements: (name = '') => elements.get(name) ?? integers(graph.constants.get(name)),
    numbers: (name) => {
      const list = context.elements(name);
      return list?.every((dim) => typeof dim === 'number') ? list : undefined;
    },
  };

  for (const node of graph.nodes) {
    const name = node.outputs[0];
    const declared = outputs.get(name) ?? graph.values.get(name);
    const rule = rules.get(node.op);
    if (!rule || found.concern(node)) {
      if (declared) values.set(name, declared);
      continue;
    }
    const inputs = node.inputs.map((input) => values.get(input) ?? graph.constants.get(input));
    const complete = node.inputs.every((input, index) => input === '' || inputs[index]);
    if (!complete || !inputs[0]) continue;
    const result = rule(inputs[0], inputs.slice(1), node, context);
    if (typeof result === 'string') found.node(node, result);
    if (typeof result !== 'object') continue;

    for (const [position, { dtype, shape }] of knownOutputs(result, inputs[0].dtype).entries()) {
      const name = node.outputs[position];
      if (!name) continue;
      if (numericProduct(shape) > MAX_ELEMENTS) {
        found.node(node, `its result, of shape [${shape}], has more elements than Octet can hold`);
        continue;
      }
      const output = outputs.get(name);
      if (output && !compatible(shape, output.shape)) {
        found.node(
          node,
          `its result is the graph's output "${name}", declared [${output.shape}], but has shape [${shape}]`,
        );
      }
      values.set(name, { ...(output ?? graph.values.get(name)), name, dtype, shape });
    }
    const known = elementsOf(node, context, values);
    // Lists of sizes are short; a chain of Concats that double one is no shape computation.
    if (known && known.length <= MAX_LIST) elements.set(name, known);
  }
  if (!problems) found.throwIfAny();
  return { ...graph, values, outputs: graph.outputs.map((info) => values.get(info.name) ?? info) };
}

function knownOutputs(result: Exclude<Result, string | undefined>, dtype: DType): readonly Known[] {
  if ('dtype' in result) return [result];
  return ('outputs' in result ? result.outputs : [result]).map((shape) => ({ dtype, shape }));
}

/** Elements of a list of integers; weights are none, and too long to copy. */
function integers(tensor: Tensor | undefined): readonly number[] | undefined {
  const isList =
    tensor && tensor.shape.length <= 1 && tensor.data.length <= MAX_LIST && isInteger(tensor.dtype);
  return isList ? Array.from(tensor.data, Number) : undefined;
}

/** Types in which sizes are computed. */
function isInteger(dtype: DType | undefined): boolean {
  return dtype === 'int64' || dtype === 'int32';
}

function numericProduct(shape: Shape): number {
  return shape.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : product), 1);
}

/** A declaration without dimensions says nothing. */
function compatible(inferred: Shape, declared: Shape): boolean {
  if (declared.length === 0) return true;
  return (
    inferred.length === declared.length && inferred.every((dim, axis) => sameOrUnknown(dim, declared[axis]))
  );
}

function sameOrUnknown(a: Dimension, b: Dimension): boolean {
  return a === b || typeof a === 'string' || typeof b === 'string';
}

const same: Rule = ({ shape }) => shape;

/** Multidirectional broadcasting (https://onnx.ai/onnx/repo-docs/Broadcasting.html). */
const broadcast: Rule = (x, rest) => {
  let shape = x.shape;
  for (const other of rest) {
    if (!other) continue;
    const joined = broadcastShapes(shape, other.shape);
    if (!joined) return `shapes [${shape}] and [${other.shape}] cannot be broadcast together`;
    shape = joined;
  }
  return shape;
};

function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: Dimension[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const da = a[axis - rank + a.length] ?? 1;
    const db = b[axis - rank + b.length] ?? 1;
    if (da === db || db === 1) shape.push(da);
    else if (da === 1 || typeof da === 'string') shape.push(db);
    else if (typeof db === 'string') shape.push(da);
    else return undefined;
  }
  return shape;
}

const conv: Rule = (x, [w, b], node) => {
  if (x.shape.length !== 4 || w?.shape.length !== 4) {
    return `needs an image [N, C, H, W] and weights of 4 dimensions, has [${x.shape}] and [${w?.shape ?? []}]`;
  }
  const group = numberAttribute(node, 'group', 1);
  const [n, c, h, width] = x.shape as [Dimension, Dimension, Dimension, Dimension];
  const [outChannels, inChannels, kh, kw] = w.shape;
  if (![outChannels, inChannels, kh, kw].every((dim) => typeof dim === 'number' && dim > 0)) {
    return `weights have shape [${w.shape}], where positive sizes are needed`;
  }
  if (!Number.isInteger(group) || group < 1 || Number(outChannels) % group !== 0) {
    return `group is ${group}, which does not divide the ${outChannels} output channels`;
  }
  if (typeof c === 'number' && c !== Number(inChannels) * group) {
    return `the image has ${c} channels, but the weights expect ${Number(inChannels) * group}`;
  }
  if (b && (b.shape.length !== 1 || b.shape[0] !== outChannels)) {
    return `bias has shape [${b.shape}], expected [${outChannels}]`;
  }
  return windowShape(node, [n, outChannels], h, width, [Number(kh), Number(kw)]);
};

const pool: Rule = (x, _, node) => {
  if (x.shape.length !== 4) return `needs an image [N, C, H, W], has [${x.shape}]`;
  const [n, c, h, w] = x.shape as [Dimension, Dimension, Dimension, Dimension];
  return windowShape(node, [n, c], h, w);
};

function windowShape(
  node: Node,
  leading: Shape,
  h: Dimension,
  w: Dimension,
  kernel?: readonly [number, number],
): Shape | string {
  // Where a size is symbolic the other still follows the formula; any size shows whether the attributes are sound.
  const unknown = 2 ** 24;
  const window = slidingWindow(
    node,
    [typeof h === 'number' ? h : unknown, typeof w === 'number' ? w : unknown],
    kernel,
  );
  if (typeof window === 'string') return window;
  const [oh, ow] = window.outputSize;
  const name = node.outputs[0];
  return [...leading, typeof h === 'number' ? oh : `${name}.2`, typeof w === 'number' ? ow : `${name}.3`];
}

const globalPool: Rule = ({ shape }) =>
  shape.length === 4 ? [shape[0], shape[1], 1, 1] : `needs an image [N, C, H, W], has [${shape}]`;

const batchNormalization: Rule = (x, parameters) => {
  const channels = x.shape[1];
  if (channels === undefined) return `needs a tensor with channels, has shape [${x.shape}]`;
  for (const parameter of parameters) {
    if (parameter?.shape.length !== 1 || !sameOrUnknown(parameter.shape[0], channels)) {
      return `a parameter has shape [${parameter?.shape ?? []}], expected [${channels}]`;
    }
  }
  return x.shape;
};

const gemm: Rule = (a, [b, c], node) => {
  if (a.shape.length !== 2 || b?.shape.length !== 2) {
    return `needs two matrices, has shapes [${a.shape}] and [${b?.shape ?? []}]`;
  }
  const transA = numberAttribute(node, 'transA', 0) !== 0;
  const transB = numberAttribute(node, 'transB', 0) !== 0;
  const [m, k] = transA ? [a.shape[1], a.shape[0]] : [a.shape[0], a.shape[1]];
  const [kb, n] = transB ? [b.shape[1], b.shape[0]] : [b.shape[0], b.shape[1]];
  if (!sameOrUnknown(k, kb)) return `inner dimensions differ: ${k} and ${kb}`;
  if (kb === 0 || n === 0) return `weights have shape [${b.shape}], where positive sizes are needed`;
  if (c) {
    const sum = broadcastShapes([m, n], c.shape);
    if (sum?.length !== 2 || !sameOrUnknown(sum[1], n) || !sameOrUnknown(sum[0], m)) {
      return `bias of shape [${c.shape}] cannot be added to [${m},${n}]`;
    }
    if (c.shape.length === 2 && c.shape[0] !== 1) {
      return `bias of shape [${c.shape}] differs from image to image, which is not supported`;
    }
  }
  return [m, n];
};

const matMul: Rule = (a, [b]) => {
  const bShape = b?.shape ?? [];
  if (a.shape.length < 2 || bShape.length < 2) {
    return `needs two matrices, has shapes [${a.shape}] and [${bShape}]`;
  }
  if (!sameOrUnknown(a.shape.at(-1)!, bShape.at(-2)!)) {
    return `inner dimensions differ: shapes [${a.shape}] and [${bShape}]`;
  }
  if (bShape.includes(0)) return `weights have shape [${bShape}], where positive sizes are needed`;
  const leading = broadcastShapes(a.shape.slice(0, -2), bShape.slice(0, -2));
  if (!leading) return `shapes [${a.shape}] and [${bShape}] cannot be broadcast together`;
  return [...leading, a.shape.at(-2)!, bShape.at(-1)!];
};

const flatten: Rule = ({ shape }, _, node) => {
  const axis = numberAttribute(node, 'axis', 1);
  const split = axis < 0 ? axis + shape.length : axis;
  if (!Number.isInteger(axis) || split < 0 || split > shape.length) {
    return `axis ${axis} is outside a tensor of shape [${shape}]`;
  }
  const name = node.outputs[0];
  return [product(shape.slice(0, split), `${name}.0`), product(shape.slice(split), `${name}.1`)];
};

/** Product of dimensions; `symbol` where it is neither a number nor one of them. */
function product(dims: Shape, symbol: string): Dimension {
  const number = numericProduct(dims);
  const symbols = dims.filter((dim) => typeof dim === 'string');
  if (symbols.length === 0 || number === 0) return number;
  return symbols.length === 1 && number === 1 ? symbols[0] : symbol;
}

const reshape: Rule = ({ shape }, _, node, context) => {
  const target = context.elements(node.inputs[1]);
  if (!target) return undefined;
  const allowZero = numberAttribute(node, 'allowzero', 0) !== 0;
  const result: Dimension[] = [];
  let free: number | undefined;
  for (const [axis, dim] of target.entries()) {
    if (dim === -1) {
      if (free !== undefined) return `target shape [${target}] has more than one -1`;
      free = axis;
      result.push(1);
    } else if (dim === 0 && !allowZero) {
      if (axis >= shape.length)
        return `target shape [${target}] copies dimension ${axis}, which [${shape}] lacks`;
      result.push(shape[axis]);
    } else if (typeof dim === 'number' && (dim < 0 || !Number.isSafeInteger(dim))) {
      return `target shape [${target}] has a negative size`;
    } else {
      result.push(dim);
    }
  }
  // Symbols on both sides cancel; what is left over is the -1.
  const left = shape.filter((dim) => typeof dim === 'string');
  const extra: string[] = [];
  for (const dim of result) {
    if (typeof dim !== 'string') continue;
    const at = left.indexOf(dim);
    if (at >= 0) left.splice(at, 1);
    else extra.push(dim);
  }
  const have = numericProduct(shape);
  const want = numericProduct(result);
  const exact = left.length === 0 && extra.length === 0;
  const mismatch = `[${shape}] cannot be reshaped to [${target}]: the numbers of elements differ`;
  if (free === undefined) return exact && have !== want ? mismatch : result;
  if (exact && (want === 0 || have % want !== 0)) return mismatch;
  const quotient = want === 0 ? NaN : have / want;
  if (exact) result[free] = quotient;
  else if (extra.length === 0 && left.length === 1 && quotient === 1) result[free] = left[0]!;
  else result[free] = `${node.outputs[0]}.${free}`;
  return result;
};

const squeeze: Rule = ({ shape }, _, node, context) => {
  const axes = axesOf(node, context, shape.length);
  if (typeof axes === 'string') return axes;
  if (!axes) {
    if (node.inputs[1]) return undefined;
    return shape.filter((dim) => dim !== 1);
  }
  const wrong = [...axes].find((axis) => shape[axis] !== 1);
  if (wrong !== undefined) return `axis ${wrong} of shape [${shape}] is not 1`;
  return shape.filter((_, axis) => !axes.has(axis));
};

const unsqueeze: Rule = ({ shape }, _, node, context) => {
  const count = constantNumbers(context.graph, node.inputs[1]) ?? node.attributes.axes;
  if (!Array.isArray(count)) return undefined;
  const axes = axesOf(node, context, shape.length + count.length);
  if (typeof axes === 'string' || !axes) return axes ?? undefined;
  const rest = [...shape];
  return Array.from({ length: shape.length + axes.size }, (_, axis) => (axes.has(axis) ? 1 : rest.shift()!));
};

/** The axes of a Squeeze, Unsqueeze or ReduceMean: an attribute once, an input since opset 13 (18 for reductions). */
function axesOf(node: Node, context: Context, rank: number): ReadonlySet<number> | string | undefined {
  const axes = constantNumbers(context.graph, node.inputs[1]) ?? node.attributes.axes;
  if (!Array.isArray(axes)) return undefined;
  const resolved = new Set<number>();
  for (const axis of axes as number[]) {
    const position = resolveAxis(axis, rank);
    if (position === undefined || resolved.has(position))
      return `axes [${axes}] do not fit a tensor of rank ${rank}`;
    resolved.add(position);
  }
  return resolved;
}

const reduceMean: Rule = ({ shape }, _, node, context) => {
  const axes = axesOf(node, context, shape.length);
  if (typeof axes === 'string') return axes;
  if (!axes && node.inputs[1]) return undefined;
  const keep = numberAttribute(node, 'keepdims', 1) !== 0;
  const reduced = (axis: number): boolean => axes?.has(axis) ?? true;
  return keep
    ? shape.map((dim, axis) => (reduced(axis) ? 1 : dim))
    : shape.filter((_, axis) => !reduced(axis));
};

const concat: Rule = (first, rest, node) => {
  const axis = resolveAxis(numberAttribute(node, 'axis', NaN), first.shape.length);
  if (axis === undefined)
    return `axis ${numberAttribute(node, 'axis', NaN)} is outside a tensor of shape [${first.shape}]`;
  const shape = [...first.shape];
  for (const other of rest) {
    if (other?.shape.length !== shape.length)
      return `inputs have different ranks: [${shape}] and [${other?.shape ?? []}]`;
    for (const [i, dim] of other.shape.entries()) {
      const mine = shape[i];
      if (i === axis) {
        shape[i] =
          typeof mine === 'number' && typeof dim === 'number' ? mine + dim : `${node.outputs[0]}.${i}`;
      } else if (!sameOrUnknown(mine, dim)) {
        return `inputs differ outside axis ${axis}: [${first.shape}] and [${other.shape}]`;
      }
    }
  }
  return shape;
};

const pad: Rule = ({ shape }, _, node, context) => {
  const pads = constantNumbers(context.graph, node.inputs[1]) ?? node.attributes.pads;
  if (!Array.isArray(pads) || node.inputs[3]) return undefined;
  if (pads.length !== 2 * shape.length) return `has ${pads.length} pads, expected ${2 * shape.length}`;
  const result: Dimension[] = [];
  for (const [axis, dim] of shape.entries()) {
    const added = Number(pads[axis]) + Number(pads[axis + shape.length]);
    if (typeof dim === 'number' && dim + added < 0)
      return `pads [${pads}] cut more than there is of [${shape}]`;
    if (typeof dim === 'number') result.push(dim + added);
    else result.push(added === 0 ? dim : `${node.outputs[0]}.${axis}`);
  }
  return result;
};

const quantizeLinear: Rule = (x, [scale, zeroPoint], node) => {
  const dtype = zeroPoint?.dtype ?? dtypeFromNumber(numberAttribute(node, 'output_dtype', 0)) ?? 'uint8';
  return checkScale(x, scale, zeroPoint, node) ?? { dtype, shape: x.shape };
};

const dequantizeLinear: Rule = (x, [scale, zeroPoint], node) => {
  if (zeroPoint && zeroPoint.dtype !== x.dtype) {
    return `its zero point is ${zeroPoint.dtype}, but the input is ${x.dtype}`;
  }
  return checkScale(x, scale, zeroPoint, node) ?? { dtype: scale?.dtype ?? 'float32', shape: x.shape };
};

/** What is wrong with the parameters of a QuantizeLinear or DequantizeLinear: one a tensor, or one a slice of `axis`. */
function checkScale(
  x: Known,
  scale: Known | undefined,
  zeroPoint: Known | undefined,
  node: Node,
): string | undefined {
  const shape = scale?.shape ?? [];
  const isScalar = shape.every((dim) => dim === 1);
  if (
    zeroPoint &&
    zeroPoint.shape.join() !== shape.join() &&
    !(isScalar && zeroPoint.shape.every((dim) => dim === 1))
  ) {
    return `scale and zero point have different shapes: [${shape}] and [${zeroPoint.shape}]`;
  }
  if (isScalar) return undefined;
  const axis = resolveAxis(numberAttribute(node, 'axis', 1), x.shape.length);
  if (axis === undefined || shape.length > 1 || !sameOrUnknown(shape[0], x.shape[axis])) {
    return `scale has shape [${shape}], which does not fit axis ${numberAttribute(node, 'axis', 1)} of [${x.shape}]`;
  }
  return undefined;
}

const cast: Rule = ({ shape }, _, node) => {
  const dtype = dtypeFromNumber(numberAttribute(node, 'to', 0));
  return dtype
    ? { dtype, shape }
    : `casts to ONNX type number ${numberAttribute(node, 'to', 0)}, which is not supported`;
};

const shapeOf: Rule = ({ shape }, _, node) => {
  const [start, end] = sliceRange(node, shape.length);
  return { dtype: 'int64', shape: [Math.max(0, end - start)] };
};

function sliceRange(node: Node, rank: number): [number, number] {
  const clamp = (value: number) => Math.min(rank, Math.max(0, value < 0 ? value + rank : value));
  return [clamp(numberAttribute(node, 'start', 0)), clamp(numberAttribute(node, 'end', rank))];
}

const gather: Rule = ({ shape }, [indices], node) => {
  const axis = resolveAxis(numberAttribute(node, 'axis', 0), shape.length);
  if (axis === undefined) return `axis is outside a tensor of shape [${shape}]`;
  return [...shape.slice(0, axis), ...(indices?.shape ?? []), ...shape.slice(axis + 1)];
};

const slice: Rule = ({ shape }, _, node, { numbers }) => {
  const ranges = sliceRanges(node, shape, numbers);
  return ranges && shape.map((dim, axis) => ranges.get(axis)?.length ?? dim);
};

const split: Rule = ({ shape }, _, node, { numbers }) => {
  const axis = resolveAxis(numberAttribute(node, 'axis', 0), shape.length);
  if (axis === undefined) return `axis is outside a tensor of shape [${shape}]`;
  const sizes = splitSizes(node, shape[axis], numbers);
  return typeof sizes === 'object' ? { outputs: sizes.map((size) => shape.with(axis, size)) } : sizes;
};

const transpose: Rule = ({ shape }, _, node) => {
  const order = node.attributes.perm ?? shape.map((_, axis) => shape.length - 1 - axis);
  const axes = Array.isArray(order) ? order.map(Number) : [];
  if (axes.toSorted((a, b) => a - b).join() !== [...shape.keys()].join()) {
    return `perm [${axes}] is no order of the axes of [${shape}]`;
  }
  return axes.map((axis) => shape[axis]);
};

const constantOfShape: Rule = (_x, _rest, node, context) => {
  const dims = context.elements(node.inputs[0]);
  if (dims?.some((dim) => typeof dim === 'number' && dim < 0)) return `shape [${dims}] has a negative size`;
  const { value } = node.attributes;
  const dtype = typeof value === 'object' && 'dtype' in value ? value.dtype : 'float32';
  return dims && { dtype, shape: dims };
};

/** Elements of the integer tensors that shape computations make of Shape nodes. */
function elementsOf(node: Node, context: Context, values: ReadonlyMap<string, ValueInfo>): Shape | undefined {
  const from = context.elements(node.inputs[0]);
  switch (node.op) {
    case 'Shape': {
      const shape = values.get(node.inputs[0])?.shape;
      return shape?.slice(...sliceRange(node, shape.length));
    }
    case 'Gather': {
      const picked = context.numbers(node.inputs[1])?.map((index) => from?.at(index));
      return picked?.every((dim) => dim !== undefined) ? picked : undefined;
    }
    case 'Slice': {
      const range = from && sliceRanges(node, [from.length], context.numbers)?.get(0);
      return range && Array.from({ length: range.length }, (_, i) => from[range.start + i * range.step]);
    }
    case 'Concat': {
      const parts = node.inputs.map((input) => context.elements(input));
      return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
    }
    case 'Cast':
      return isInteger(values.get(node.outputs[0])?.dtype) ? from : undefined;
    case 'Unsqueeze':
    case 'Squeeze':
    case 'Identity':
      return from;
    default: {
      const of = sizeFunctions[node.op];
      if (!of) return undefined;
      const [a, b] = node.inputs.map((input) => context.numbers(input));
      if (!a || a.length !== b?.length) return undefined;
      const results = a.map((value, i) => of(value, b[i]));
      return results.every(Number.isSafeInteger) ? results : undefined;
    }
  }
}

/** What sizes are computed with, of integers. */
const sizeFunctions: Readonly<Record<string, ((a: number, b: number) => number) | undefined>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => Math.trunc(a / b),
};

const elementwise =
  'Abs Celu Clip Dropout Elu Erf Exp Gelu HardSigmoid HardSwish Identity LeakyRelu Log Mish Neg Reciprocal Relu ' +
  'Selu Sigmoid Softmax Softplus Softsign Sqrt Swish Tanh ThresholdedRelu';
const broadcasting = 'Add Div Max Min Mul Pow PRelu Sub';

const rules = new Map<string, Rule>(
  Object.entries({
    Conv: conv,
    BatchNormalization: batchNormalization,
    Gemm: gemm,
    MatMul: matMul,
    MaxPool: pool,
    AveragePool: pool,
    GlobalAveragePool: globalPool,
    GlobalMaxPool: globalPool,
    ReduceMean: reduceMean,
    Flatten: flatten,
    Reshape: reshape,
    Squeeze: squeeze,
    Unsqueeze: unsqueeze,
    Concat: concat,
    Pad: pad,
    Cast: cast,
    Shape: shapeOf,
    Gather: gather,
    Slice: slice,
    Split: split,
    Transpose: transpose,
    ConstantOfShape: constantOfShape,
    QuantizeLinear: quantizeLinear,
    DequantizeLinear: dequantizeLinear,
    ...Object.fromEntries(elementwise.split(' ').map((op) => [op, same])),
    ...Object.fromEntries(broadcasting.split(' ').map((op) => [op, broadcast])),
  }),
);
