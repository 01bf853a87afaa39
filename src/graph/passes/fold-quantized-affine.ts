/**
 * Per-channel affine functions right behind a convolution or dense layer with quantized weights, no QuantizeLinear between them: they
 * join the layer's weight scales and bias, as folding them into float weights would have done.
 */
import { constantScalar, numberAttribute, resolveAxis } from '../attributes.ts';
import { packedBits } from '../dtypes.ts';
import { type GraphIndex, indexGraph } from '../graph-index.ts';
import type { Graph, Node, Tensor, TensorData } from '../graph.ts';
import { concat } from '../operators/concat.ts';
import { conv } from '../operators/conv.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { gemm } from '../operators/gemm.ts';
import { keepsValues } from '../operators/operator.ts';
import { roleOf } from '../operators/registry.ts';
import { Names, valueNames } from '../rewrite.ts';
import { type Affine, affineOf } from './fold-affine.ts';

/**
 * `a·(s·Σ x(w − z) + b) + d` has the weight scales `s·|a|`, weights that are reflected where a is negative, and the bias `a·b + d`, in
 * float32. Layers whose accumulators might not hold the bias stay as they are. Expects inferred shapes.
 */
export function foldQuantizedAffine(graph: Graph): Graph {
  const index = indexGraph(graph);
  const context: Context = {
    index,
    constants: new Map(graph.constants),
    names: valueNames(graph),
    nodeNames: new Names(graph.nodes.map(({ name }) => name)),
  };
  /** Layers so far, by the value that they compute: several functions in a row fold one after the other. */
  const layers = new Map<string, Layer>();
  const removed = new Set<Node>();
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    if (conv.is(node) || gemm.is(node)) {
      layers.set(output, { node, affine: undefined });
      continue;
    }
    const input = node.inputs.find((name) => layers.has(name));
    const layer = input === undefined ? undefined : layers.get(input)!;
    if (input === undefined || !layer || index.onlyReader(input) !== node) continue;
    const rank = graph.values.get(input)?.shape.length ?? 0;
    const outChannels = Number(graph.values.get(input)?.shape[1]);
    const next = affineOf(graph, node, input, outChannels, rank);
    const affine = next && composed(layer.affine, next, outChannels);
    if (!affine || !folded(context, layer.node, affine)) continue;
    removed.add(node);
    layers.delete(input);
    layers.set(output, { node: layer.node, affine });
  }
  if (removed.size === 0) return graph;
  const replaced = new Map<Node, readonly Node[]>();
  for (const [output, { node, affine }] of layers) {
    const parts = affine && folded(context, node, affine);
    if (parts) replaced.set(node, written(context, node, parts, output));
  }
  const nodes = graph.nodes.flatMap((node) => (removed.has(node) ? [] : (replaced.get(node) ?? [node])));
  return { ...graph, nodes, constants: context.constants };
}

interface Context {
  readonly index: GraphIndex;
  /** Of the new graph. */
  readonly constants: Map<string, Tensor>;
  readonly names: Names;
  readonly nodeNames: Names;
}

interface Layer {
  readonly node: Node;
  /** What is to be done to its result. */
  readonly affine: Affine | undefined;
}

function composed(first: Affine | undefined, next: Affine, channels: number): Affine {
  const at = (list: Float64Array, c: number) => list[list.length > 1 ? c : 0];
  return {
    scale: Float64Array.from(
      { length: channels },
      (_, c) => (first ? at(first.scale, c) : 1) * at(next.scale, c),
    ),
    shift: Float64Array.from(
      { length: channels },
      (_, c) => (first ? at(first.shift, c) : 0) * at(next.scale, c) + at(next.shift, c),
    ),
  };
}

/** What a layer is made of then. */
interface Folded {
  readonly weights: Omit<Tensor, 'name'>;
  readonly scale: Float32Array;
  readonly zeroPoint: TensorData | undefined;
  readonly bias: Float32Array;
}

function folded({ index }: Context, layer: Node, { scale: factor, shift }: Affine): Folded | undefined {
  const { graph } = index;
  const dequantize = index.producer(layer.inputs[1]);
  if (!dequantizeLinear.is(dequantize) || !isPlain(layer)) return undefined;
  const [weights, scales, zeros] = dequantize.inputs.map((name) => graph.constants.get(name));
  if (!weights || !scales || (dequantize.inputs[2] && !zeros)) return undefined;
  const [channels] = weights.shape;
  const axis = resolveAxis(numberAttribute(dequantize, 'axis', 1), weights.shape.length);
  const isByChannel = scales.data.length === channels && scales.shape.length === 1 && axis === 0;
  const range = rangeOf(weights.dtype);
  const bias = biasOf(index, layer, channels);
  const inputScale = inputScaleOf(index, layer.inputs[0]);
  if (!range || !bias || inputScale === undefined || (scales.data.length !== 1 && !isByChannel))
    return undefined;
  if (factor.length !== channels) return undefined;
  const [lo, hi] = range;
  const inner = weights.data.length / channels;
  // Layers that share weights still do.
  const data = (factor.every((a) => a > 0) ? weights.data : weights.data.slice()) as Int8Array;
  const scale = new Float32Array(channels);
  const zeroPoint = new Int32Array(channels);
  const result = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    const own = Number(scales.data[scales.data.length > 1 ? c : 0]);
    zeroPoint[c] = Number(zeros?.data[zeros.data.length > 1 ? c : 0] ?? 0);
    const row = data.subarray(c * inner, (c + 1) * inner);
    scale[c] = own * Math.abs(factor[c]);
    if (factor[c] === 0) {
      row.fill(zeroPoint[c]);
      scale[c] = own;
    } else if (factor[c] < 0) {
      const isInside = row.every((q) => 2 * zeroPoint[c] - q >= lo && 2 * zeroPoint[c] - q <= hi);
      // Reflected about its zero point, or else with it about the middle of all integers.
      const sum = isInside ? 2 * zeroPoint[c] : lo + hi;
      for (let i = 0; i < inner; i++) row[i] = sum - row[i];
      if (!isInside) zeroPoint[c] = sum - zeroPoint[c];
    }
    result[c] = bias[c] * factor[c] + shift[c];
    const steps = Math.abs(result[c]) / (inputScale * scale[c]) + 2 ** 16 * inner;
    if (!(scale[c] > 0 && scale[c] < Infinity && steps < 2 ** 31)) return undefined;
  }
  return {
    weights: { dtype: weights.dtype, shape: weights.shape, data },
    scale,
    zeroPoint: zeros || zeroPoint.some((z) => z !== 0) ? ofType(data, zeroPoint) : undefined,
    bias: result,
  };
}

function ofType(like: TensorData, values: Int32Array): TensorData {
  const data = new (like.constructor as new (length: number) => Int8Array)(values.length);
  data.set(values);
  return data;
}

/** A layer whose output channels lie on axis 0 of its weights. */
function isPlain(layer: Node): boolean {
  if (conv.is(layer)) return true;
  return ['alpha', 'beta', 'transB'].every((name) => gemm.number(layer as never, name as never) === 1);
}

/** The integers of a type of weights. */
function rangeOf(dtype: Tensor['dtype']): readonly [number, number] | undefined {
  const bits = dtype === 'int8' || dtype === 'uint8' ? 8 : packedBits[dtype];
  if (!bits) return undefined;
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

/** The bias of each channel in real numbers, undefined where it is no constant. */
function biasOf(index: GraphIndex, layer: Node, channels: number): Float64Array | undefined {
  const name = layer.inputs[2] ?? '';
  if (name === '') return new Float64Array(channels);
  const producer = index.producer(name);
  const { constants } = index.graph;
  let data = constants.get(name)?.data;
  if (!data && dequantizeLinear.is(producer)) {
    const inputs = producer.inputs.map((input) => constants.get(input));
    const shape = inputs[0]?.shape ?? [];
    data = dequantizeLinear.evaluate?.({
      ...{ node: producer, inputs, dtype: 'float32', shape, numbers: () => undefined },
    })?.data;
  }
  if (!(data instanceof Float32Array) || (data.length !== channels && data.length !== 1)) return undefined;
  const all = data;
  return Float64Array.from({ length: channels }, (_, c) => all[all.length > 1 ? c : 0]);
}

/** The smallest scale of what quantizes a value, perhaps before operators that keep values or join them; undefined where none does. */
function inputScaleOf(index: GraphIndex, name: string, depth = 0): number | undefined {
  const { graph } = index;
  const producer = index.producer(name);
  if (!producer || depth > MAX_DEPTH) return undefined;
  if (dequantizeLinear.is(producer)) return constantScalar(graph, producer.inputs[1]);
  if (!concat.is(producer) && !keepsValues(roleOf(graph, producer))) return undefined;
  const sources = concat.is(producer) ? producer.inputs : producer.inputs.slice(0, 1);
  return sources.reduce<number | undefined>((least, input) => {
    const scale = inputScaleOf(index, input, depth + 1);
    return least === undefined || scale === undefined ? undefined : Math.min(least, scale);
  }, Infinity);
}

/** Operators before a layer that its input's scale is looked for behind. */
const MAX_DEPTH = 4;

function written(
  { constants, names, nodeNames }: Context,
  layer: Node,
  parts: Folded,
  output: string,
): Node[] {
  const constant = (what: string, tensor: Omit<Tensor, 'name'>): string => {
    const name = names.fresh(`${layer.name}.${what}`);
    constants.set(name, { ...tensor, name });
    return name;
  };
  const { weights, scale, zeroPoint, bias } = parts;
  const shape = [scale.length];
  const parameters = [
    constant('weights', weights),
    constant('scale', { dtype: 'float32', shape, data: scale }),
    ...(zeroPoint ? [constant('zero_point', { dtype: weights.dtype, shape, data: zeroPoint })] : []),
  ];
  const dequantized = names.fresh(`${layer.name}.dequantized`);
  return [
    {
      name: nodeNames.fresh(`${layer.name}.dequantize`),
      op: dequantizeLinear.op,
      inputs: parameters,
      outputs: [dequantized],
      attributes: { axis: 0 },
    },
    {
      ...layer,
      inputs: [layer.inputs[0], dequantized, constant('bias', { dtype: 'float32', shape, data: bias })],
      outputs: [output],
    },
  ];
}
