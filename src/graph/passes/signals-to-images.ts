/**
 * Convolutions and pools of signals [N, C, L] as those of images [N, C, 1, L] of one row: one form for all that follows, which knows
 * windows of two dimensions. What stands between two of them and works element by element, or channel by channel, goes on in images.
 */
import { indexGraph } from '../graph-index.ts';
import type { Attribute, Graph, Node, Tensor } from '../graph.ts';
import { averagePool } from '../operators/average-pool.ts';
import { batchNormalization } from '../operators/batch-normalization.ts';
import { conv } from '../operators/conv.ts';
import { convTranspose } from '../operators/conv-transpose.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { globalAveragePool } from '../operators/global-average-pool.ts';
import { globalMaxPool } from '../operators/global-max-pool.ts';
import { lpPool } from '../operators/lp-pool.ts';
import { maxPool } from '../operators/max-pool.ts';
import type { OnnxOperator } from '../operators/operator.ts';
import { quantizeLinear } from '../operators/quantize-linear.ts';
import { operatorOf } from '../operators/registry.ts';
import { reshape } from '../operators/reshape.ts';
import { valueNames } from '../rewrite.ts';

const layers: readonly OnnxOperator[] = [conv, convTranspose];
const pools: readonly OnnxOperator[] = [maxPool, averagePool, lpPool];
/** Work on signals and on images alike. */
const alike: readonly OnnxOperator[] = [
  batchNormalization,
  quantizeLinear,
  dequantizeLinear,
  globalAveragePool,
  globalMaxPool,
];

/** Attributes of a window over signals as of one over images. */
const additions: Readonly<Partial<Record<string, (value: readonly number[]) => readonly number[]>>> = {
  kernel_shape: ([size]) => [1, size],
  strides: ([stride]) => [1, stride],
  dilations: ([dilation]) => [1, dilation],
  pads: ([begin, end]) => [0, begin, 0, end],
  output_padding: ([columns]) => [0, columns],
  output_shape: ([columns]) => [1, columns],
};

/** Needs no shapes: weights and kernels say of how many dimensions their inputs are. */
export function signalsToImages(graph: Graph): Graph {
  if (!graph.nodes.some((node) => isOfSignals(graph, node))) return graph;
  const index = indexGraph(graph);
  const names = valueNames(graph);
  const nodeNames = new Set(graph.nodes.map(({ name }) => name));
  const constants = new Map(graph.constants);
  const nodes: Node[] = [];
  /** The image of each signal that is one already. */
  const images = new Map<string, string>();
  /** Signals that are computed as images, with the node that does it, and not made from them yet. */
  const pending = new Map<string, Node>();

  const nameOf = (wanted: string): string => {
    let name = wanted;
    for (let i = 1; nodeNames.has(name); i++) name = `${wanted}_${i}`;
    nodeNames.add(name);
    return name;
  };
  const reshaped = (node: Node, from: string, to: string, sizes: readonly number[]): string => {
    const shape = names.fresh(`${to}.shape`);
    constants.set(shape, {
      ...{ name: shape, dtype: 'int64', shape: [sizes.length] },
      data: BigInt64Array.from(sizes, BigInt),
    });
    const name = nameOf(`${node.name}.reshape`);
    nodes.push({ name, op: reshape.op, inputs: [from, shape], outputs: [to], attributes: {} });
    return to;
  };
  const imageOf = (node: Node, signal: string): string => {
    const known = images.get(signal);
    if (known !== undefined) return known;
    const image = reshaped(node, signal, names.fresh(`${signal}.image`), [0, 0, 1, -1]);
    images.set(signal, image);
    return image;
  };
  /** Weights [O, I, K] as [O, I, 1, K], constant or behind a DequantizeLinear. */
  const kernelOf = (node: Node, name: string): string => {
    const constant = graph.constants.get(name);
    if (constant) return held(constants, names.fresh(`${name}.image`), constant);
    const producer = index.producer(name);
    const integers = dequantizeLinear.is(producer) && graph.constants.get(producer.inputs[0]);
    const axis = Number(producer?.attributes.axis ?? 1);
    if (!producer || !integers || axis < 0 || axis > 1 || 'block_size' in producer.attributes) {
      return reshaped(node, name, names.fresh(`${name}.image`), [0, 0, 1, -1]);
    }
    const data = held(constants, names.fresh(`${integers.name}.image`), integers);
    const output = names.fresh(`${name}.image`);
    nodes.push({
      ...producer,
      name: nameOf(`${producer.name}.image`),
      inputs: [data, ...producer.inputs.slice(1)],
      outputs: [output],
    });
    return output;
  };
  const emit = (node: Node, inputs: readonly string[], attributes: Node['attributes']): void => {
    const [signal] = node.outputs;
    const image = names.fresh(`${signal}.image`);
    images.set(signal, image);
    nodes.push({ ...node, inputs, outputs: [image, ...node.outputs.slice(1)], attributes });
    pending.set(signal, node);
  };
  const signalOf = (signal: string): void => {
    const node = pending.get(signal);
    if (!node) return;
    pending.delete(signal);
    reshaped(node, images.get(signal)!, signal, [0, 0, -1]);
  };

  for (const node of graph.nodes) {
    const [x, weights, ...rest] = node.inputs;
    if (isOfSignals(graph, node)) {
      const image = imageOf(node, x);
      const inputs = weights === undefined ? [image] : [image, kernelOf(node, weights), ...rest];
      emit(node, inputs, imageAttributes(node.attributes));
    } else if (goesOnInImages(graph, node, images)) {
      const inputs = node.inputs.map((name) => {
        const constant = alike.some((row) => row.is(node)) ? undefined : graph.constants.get(name);
        const isAligned = !constant || constant.shape.length < 2;
        return (
          images.get(name) ?? (isAligned ? name : held(constants, names.fresh(`${name}.image`), constant))
        );
      });
      emit(node, inputs, node.attributes);
    } else {
      for (const name of node.inputs) signalOf(name);
      nodes.push(node);
    }
  }
  for (const { name } of graph.outputs) signalOf(name);
  return { ...graph, constants, nodes };
}

function isOfSignals(graph: Graph, node: Node): boolean {
  const { kernel_shape: kernel } = node.attributes;
  const isWindow = layers.concat(pools).some((row) => row.is(node));
  if (!isWindow) return false;
  return Array.isArray(kernel)
    ? kernel.length === 1
    : graph.constants.get(node.inputs[1])?.shape.length === 3;
}

/** Whether a node behind a window works on signals as on images: element by element, with constants that can be aligned with either. */
function goesOnInImages(graph: Graph, node: Node, images: ReadonlyMap<string, string>): boolean {
  if (!node.inputs.some((name) => images.has(name)) || node.outputs.length > 1) return false;
  if (alike.some((row) => row.is(node))) return images.has(node.inputs[0]);
  const row = operatorOf(graph, node);
  const isElementwise = row?.role === 'pointwise' || row?.role === 'clamps' || row?.binary !== undefined;
  const isAligned = (name: string): boolean => {
    const rank = graph.constants.get(name)?.shape.length;
    return name === '' || images.has(name) || (rank !== undefined && rank <= 3);
  };
  return isElementwise && node.inputs.every(isAligned);
}

/** A constant with an axis of one element before its last. */
function held(constants: Map<string, Tensor>, name: string, tensor: Tensor): string {
  const { dtype, data } = tensor;
  const shape = [...tensor.shape.slice(0, -1), 1, tensor.shape.at(-1)!];
  constants.set(name, { name, dtype, data, shape });
  return name;
}

function imageAttributes(attributes: Node['attributes']): Node['attributes'] {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]): [string, Attribute] => {
      const add = additions[name];
      return [name, add && Array.isArray(value) ? add(value as number[]) : value];
    }),
  );
}
