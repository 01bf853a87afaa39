/**
 * One form for what opsets and exporters write in several: Octet's graphs are of opset 13 or later, in float32, and
 * know one way to average, to flatten and to clip.
 */
import { constantNumbers, numberAttribute, resolveAxis } from '../graph/attributes.ts';
import { isFloat, dtypeFromNumber } from '../graph/dtypes.ts';
import type { Attribute, Dimension, DType, Graph, Node, Tensor, ValueInfo } from '../graph/graph.ts';
import { indexGraph } from '../graph/graph-index.ts';
import type { Problems } from '../graph/problems.ts';
import { freshName, takenNames } from '../graph/rewrite.ts';
import { splitSizes } from '../graph/strided.ts';

/** Oldest opset that a normalized graph says it is of: Squeeze has its axes as an input, quantization is per axis. */
const OLDEST_FORM = 13;

interface Context {
  readonly graph: Graph;
  readonly problems: Problems;
  readonly isRead: (value: string) => boolean;
  /** Adds a constant under a name like `wanted`, and returns its name. */
  constant(wanted: string, tensor: Omit<Tensor, 'name'>): string;
  /** A name for a value that is not taken. */
  value(wanted: string): string;
}

type Rewrite = (node: Node, context: Context) => readonly Node[];

/**
 * Rewrites old and odd forms; what is outside the supported subset goes to `problems`. Expects inferred shapes, which it
 * leaves to be inferred again.
 */
export function normalize(graph: Graph, problems: Problems): Graph {
  const index = indexGraph(graph);
  const taken = takenNames(graph);
  const constants = new Map<string, Tensor>();
  for (const [name, tensor] of graph.constants)
    constants.set(name, { ...tensor, dtype: widened(tensor.dtype) });
  const context: Context = {
    graph,
    problems,
    isRead: (name) => index.outputs.has(name) || index.readers(name).length > 0,
    constant(wanted, tensor) {
      const name = freshName(wanted, taken);
      constants.set(name, { ...tensor, name });
      return name;
    },
    value: (wanted) => freshName(wanted, taken),
  };
  const nodes = graph.nodes.flatMap((node) => {
    const rewrite = Object.hasOwn(rewrites, node.op) ? rewrites[node.op] : undefined;
    return rewrite && !problems.concern(node) ? rewrite(node, context) : [node];
  });
  const widen = (info: ValueInfo): ValueInfo => ({ ...info, dtype: widened(info.dtype) });
  return {
    ...graph,
    opset: Math.max(OLDEST_FORM, graph.opset),
    nodes,
    constants,
    inputs: graph.inputs.map(widen),
    outputs: graph.outputs.map(widen),
    values: new Map([...graph.values].map(([name, info]) => [name, widen(info)])),
  };
}

/** Half floats are a way to store: Octet computes their models in float32. */
function widened(dtype: DType): DType {
  return dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
}

const rewrites: Readonly<Record<string, Rewrite>> = {
  Cast: castNode,
  Clip: clip,
  Squeeze: squeeze,
  Unsqueeze: (node, context) => [axesAsInput(node, context)],
  Pad: pad,
  Reshape: reshape,
  ReduceMean: reduceMean,
  Dropout: dropout,
  BatchNormalization: batchNormalization,
  MaxPool: maxPool,
  Softmax: softmax,
  Split: split,
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
};

function without(node: Node, ...names: readonly string[]): Record<string, Attribute> {
  return Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name)));
}

function shapeOf({ graph }: Context, name: string | undefined): readonly Dimension[] | undefined {
  return graph.values.get(name ?? '')?.shape;
}

function firstOutputOnly(node: Node, context: Context, what: string): Node {
  if (node.outputs.slice(1).some((name) => name !== '' && context.isRead(name))) {
    context.problems.node(node, `${what} are read, which is not supported: only the first output is`);
  }
  return { ...node, outputs: node.outputs.slice(0, 1) };
}

/** Between float types a Cast does nothing, once they are all float32. */
function castNode(node: Node, { graph }: Context): Node[] {
  const input = node.inputs[0];
  const from = (graph.values.get(input) ?? graph.constants.get(input))?.dtype;
  const to = dtypeFromNumber(numberAttribute(node, 'to', 0));
  if (!from || !to || from === 'float64' || to === 'float64' || !isFloat(from) || !isFloat(to)) return [node];
  return [{ ...node, op: 'Identity', attributes: {} }];
}

function clip(node: Node, context: Context): Node[] {
  if (context.graph.opset >= 11) return [node];
  const inputs = [node.inputs[0]];
  for (const bound of ['min', 'max']) {
    const value = node.attributes[bound];
    inputs.push(
      typeof value === 'number'
        ? context.constant(`${node.name}.${bound}`, {
            dtype: 'float32',
            shape: [],
            data: Float32Array.of(value),
          })
        : '',
    );
  }
  while (inputs.at(-1) === '') inputs.pop();
  return [{ ...node, inputs, attributes: without(node, 'min', 'max') }];
}

function int64(values: readonly number[]): Omit<Tensor, 'name'> {
  return { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}

function axesAsInput(node: Node, context: Context): Node {
  const axes = node.attributes.axes;
  if (!Array.isArray(axes)) return node;
  const name = context.constant(`${node.name}.axes`, int64(axes as number[]));
  return { ...node, inputs: [node.inputs[0], name], attributes: without(node, 'axes') };
}

/** Dropping H and W of a pooled image is flattening it. */
function squeeze(node: Node, context: Context): Node[] {
  return isFlatten(node, context) ? [asFlatten(node)] : [axesAsInput(node, context)];
}

/** A Reshape to [batch, everything else], by constants or by computed shapes, is a Flatten. */
function reshape(node: Node, context: Context): Node[] {
  return isFlatten(node, context) ? [asFlatten(node)] : [node];
}

function isFlatten(node: Node, context: Context): boolean {
  const from = shapeOf(context, node.inputs[0]);
  const to = shapeOf(context, node.outputs[0]);
  if (!from || from.length < 2 || to?.length !== 2 || from[0] !== to[0]) return false;
  const image = from.slice(1);
  return (
    image.every((dim) => typeof dim === 'number') &&
    to[1] === image.reduce((product, dim) => product * dim, 1)
  );
}

function asFlatten({ name, inputs, outputs, extras }: Node): Node {
  return {
    name,
    op: 'Flatten',
    inputs: [inputs[0]],
    outputs,
    attributes: { axis: 1 },
    ...(extras && { extras }),
  };
}

function pad(node: Node, context: Context): Node[] {
  const { pads, value } = node.attributes;
  if (!Array.isArray(pads)) return [node];
  const inputs = [node.inputs[0], context.constant(`${node.name}.pads`, int64(pads as number[]))];
  if (typeof value === 'number' && value !== 0) {
    const data = Float32Array.of(value);
    inputs.push(context.constant(`${node.name}.value`, { dtype: 'float32', shape: [], data }));
  }
  return [{ ...node, inputs, attributes: without(node, 'pads', 'value') }];
}

/** The mean over H and W is GlobalAveragePool, then Flatten where the dimensions go. */
function reduceMean(node: Node, context: Context): Node[] {
  const input = node.inputs[0];
  const shape = shapeOf(context, input);
  if (!shape) return [node];
  const given = constantNumbers(context.graph, node.inputs[1]) ?? node.attributes.axes;
  const axes = Array.isArray(given) ? given.map((axis) => resolveAxis(Number(axis), shape.length)) : [];
  if (shape.length !== 4 || axes.toSorted().join() !== '2,3') {
    context.problems.node(node, 'only means over height and width (axes 2 and 3 of an image) are supported');
    return [node];
  }
  const pool = { ...node, op: 'GlobalAveragePool', inputs: [input], attributes: {} };
  if (numberAttribute(node, 'keepdims', 1) !== 0) return [pool];
  const pooled = context.value(`${node.name}.pooled`);
  const flatten = {
    ...asFlatten({ ...node, inputs: [pooled] }),
    name: context.value(`${node.name}.flatten`),
  };
  return [{ ...pool, outputs: [pooled] }, flatten];
}

function dropout(node: Node, context: Context): Node[] {
  const [input = '', , training = ''] = node.inputs;
  const mode = constantNumbers(context.graph, training)?.[0];
  if (training !== '' && mode !== 0) {
    context.problems.node(node, 'is in training mode: export the model for inference (model.eval())');
  }
  return [{ ...firstOutputOnly(node, context, 'masks'), inputs: [input], attributes: {} }];
}

function batchNormalization(node: Node, context: Context): Node[] {
  if (numberAttribute(node, 'training_mode', 0) !== 0) {
    context.problems.node(node, 'is in training mode: export the model for inference (model.eval())');
  }
  return [
    {
      ...firstOutputOnly(node, context, 'running statistics'),
      attributes: without(node, 'training_mode', 'momentum'),
    },
  ];
}

function maxPool(node: Node, context: Context): Node[] {
  return [{ ...firstOutputOnly(node, context, 'indices'), attributes: without(node, 'storage_order') }];
}

/** Before opset 13, all dimensions from `axis` on were normalized together. */
function softmax(node: Node, context: Context): Node[] {
  if (context.graph.opset >= 13) return [node];
  const shape = shapeOf(context, node.inputs[0]);
  const axis = shape && resolveAxis(numberAttribute(node, 'axis', 1), shape.length);
  if (shape && axis !== undefined && shape.slice(axis + 1).some((dim) => dim !== 1)) {
    context.problems.node(
      node,
      `normalizes over axes ${axis} to ${shape.length - 1} together; only one is supported`,
    );
  }
  return [axis === undefined ? node : { ...node, attributes: { axis } }];
}

/** Each part that is read is a Slice. */
function split(node: Node, context: Context): readonly Node[] {
  const [input] = node.inputs;
  const shape = shapeOf(context, input);
  const axis = shape && resolveAxis(numberAttribute(node, 'axis', 0), shape.length);
  const sizes =
    axis === undefined
      ? undefined
      : splitSizes(node, shape![axis], (name) => constantNumbers(context.graph, name));
  if (typeof sizes !== 'object') return [node];
  let start = 0;
  return sizes.flatMap((size, part) => {
    const output = node.outputs[part] ?? '';
    const bounds = { starts: start, ends: (start += size), axes: axis! };
    if (output === '' || !context.isRead(output)) return [];
    const name = part === 0 ? node.name : context.value(`${node.name}.${part}`);
    const inputs = Object.entries(bounds).map(([bound, value]) =>
      context.constant(`${node.name}.${part}.${bound}`, int64([value])),
    );
    return [{ name, op: 'Slice', inputs: [input, ...inputs], outputs: [output], attributes: {} }];
  });
}

function refuseBlocks(node: Node, { problems }: Context): void {
  if (numberAttribute(node, 'block_size', 0) !== 0) {
    problems.node(node, 'quantizes in blocks, which is not supported: use per-tensor or per-axis scales');
  }
}

function quantizeLinear(node: Node, context: Context): Node[] {
  refuseBlocks(node, context);
  const [input = '', scale = '', zeroPoint = ''] = node.inputs;
  const attributes = without(node, 'output_dtype', 'block_size', 'precision', 'saturate');
  const dtype =
    zeroPoint === ''
      ? (dtypeFromNumber(numberAttribute(node, 'output_dtype', 0)) ?? 'uint8')
      : shapeAndType(context, zeroPoint)?.dtype;
  if (dtype !== 'int8' && dtype !== 'uint8') {
    context.problems.node(
      node,
      `quantizes to ${dtype ?? 'an unknown type'}; only int8 and uint8 are supported`,
    );
    return [node];
  }
  if (zeroPoint !== '') return [{ ...node, attributes }];
  const shape = context.graph.constants.get(scale)?.shape ?? [];
  const count = shape.reduce((product, dim) => product * dim, 1);
  const data = dtype === 'int8' ? new Int8Array(count) : new Uint8Array(count);
  const zero = context.constant(`${node.name}.zero_point`, { dtype, shape, data });
  return [{ ...node, inputs: [input, scale, zero], attributes }];
}

function dequantizeLinear(node: Node, context: Context): Node[] {
  refuseBlocks(node, context);
  const dtype = shapeAndType(context, node.inputs[0])?.dtype;
  if (dtype && dtype !== 'int8' && dtype !== 'uint8' && dtype !== 'int32') {
    context.problems.node(node, `dequantizes ${dtype}; only int8, uint8 and int32 are supported`);
  }
  return [{ ...node, attributes: without(node, 'block_size', 'output_dtype') }];
}

function shapeAndType({ graph }: Context, name = ''): { readonly dtype: DType } | undefined {
  return graph.values.get(name) ?? graph.constants.get(name);
}
