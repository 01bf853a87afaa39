/**
 * Per-channel affine functions, y = scale·x + shift: batch normalization (Ioffe & Szegedy 2015), and arithmetic with
 * constants. After a convolution or dense layer they fold into its weights (Jacob et al. 2018, section 3.2); a batch
 * normalization elsewhere, as in pre-activation networks, is a depthwise 1×1 convolution.
 */
import { indexGraph } from '../graph-index.ts';
import type { Graph, Node, Tensor } from '../graph.ts';
import { add } from '../operators/add.ts';
import { batchNormalization } from '../operators/batch-normalization.ts';
import { conv } from '../operators/conv.ts';
import { div } from '../operators/div.ts';
import { gemm } from '../operators/gemm.ts';
import { mul } from '../operators/mul.ts';
import { sub } from '../operators/sub.ts';
import { Problems } from '../problems.ts';
import { valueNames } from '../rewrite.ts';

/** One entry a channel, or a single one for all. Float64, so that only the folded weights are rounded. */
export interface Affine {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

/**
 * Folds affine functions into the Conv or Gemm (with transB, as `denseToGemm` leaves it) before them, where nothing
 * else reads its result. Computed in float64, rounded once.
 * @throws {ModelError} where folded weights are not finite, naming the nodes.
 */
export function foldAffine(graph: Graph): Graph {
  const problems = new Problems(graph.opset);
  const index = indexGraph(graph);
  const names = valueNames(graph);
  const constants = new Map(graph.constants);
  // Layers so far, by the value they compute: several functions in a row fold one after the other.
  const layers = new Map<string, Node>();
  const nodes = new Map<Node, Node>();
  const removed = new Set<Node>();
  for (const node of graph.nodes) {
    const [output] = node.outputs as [string];
    if (conv.is(node) || gemm.is(node)) {
      layers.set(output, node);
      continue;
    }
    const input = node.inputs.find((name) => layers.has(name));
    const original = input === undefined ? undefined : layers.get(input);
    if (input === undefined || !original || index.onlyReader(input) !== node) continue;
    const layer = nodes.get(original) ?? original;
    const weights = constants.get(layer.inputs[1]);
    const bias = layer.inputs[2] ? constants.get(layer.inputs[2]) : null;
    if (!weights || bias === undefined || !foldable(layer, weights)) continue;
    const channels = weights.shape[0];
    const affine = affineOf(graph, node, input, channels, conv.is(layer) ? 4 : 2);
    if (!affine) continue;

    const folded = foldInto(weights, bias, affine);
    if (!isFinite(folded.weights) || !isFinite(folded.bias)) {
      problems.node(node, `folded into "${layer.name}", gives weights that are not finite`);
      continue;
    }
    const store = (wanted: string, shape: readonly number[], data: Float32Array): string => {
      const own = index.readers(wanted).length === 1 || !graph.constants.has(wanted);
      const name = own && constants.has(wanted) ? wanted : names.fresh(wanted);
      constants.set(name, { name, dtype: 'float32', shape, data });
      return name;
    };
    nodes.set(original, {
      ...layer,
      inputs: [
        layer.inputs[0],
        store(weights.name, weights.shape, folded.weights),
        store(bias?.name ?? `${layer.name}.bias`, [channels], folded.bias),
      ],
      outputs: [output],
    });
    layers.set(output, original);
    removed.add(node);
  }
  problems.throwIfAny();
  return {
    ...graph,
    constants,
    nodes: graph.nodes.filter((node) => !removed.has(node)).map((node) => nodes.get(node) ?? node),
  };
}

/** Turns the batch normalizations of images that are left into depthwise 1×1 convolutions. Expects inferred shapes. */
export function batchNormToConv(graph: Graph): Graph {
  const names = valueNames(graph);
  const constants = new Map(graph.constants);
  const problems = new Problems(graph.opset);
  const nodes = graph.nodes.map((node): Node => {
    const input = node.inputs[0];
    const shape = graph.values.get(input)?.shape;
    const channels = graph.constants.get(node.inputs[1] ?? '')?.data.length;
    if (!batchNormalization.is(node) || shape?.length !== 4 || channels === undefined) return node;
    const affine = affineOf(graph, node, input, channels, 4);
    if (!affine) return node;
    const store = (kind: string, dims: readonly number[], values: Float64Array): string => {
      const data = Float32Array.from(values);
      if (!isFinite(data)) problems.node(node, `its ${kind} is not finite`);
      const name = names.fresh(`${node.name}.${kind}`);
      constants.set(name, { name, dtype: 'float32', shape: dims, data });
      return name;
    };
    return {
      ...node,
      op: conv.op,
      inputs: [
        input,
        store('weight', [channels, 1, 1, 1], affine.scale),
        store('bias', [channels], affine.shift),
      ],
      attributes: { group: channels, kernel_shape: [1, 1] },
    };
  });
  problems.throwIfAny();
  return { ...graph, constants, nodes };
}

function isFinite(data: Float32Array): boolean {
  // 0 · ∞ and 0 · NaN are NaN: one multiply-add an element.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i] * 0;
  return sum === 0;
}

function foldable(layer: Node, weights: Tensor): boolean {
  if (!(weights.data instanceof Float32Array)) return false;
  if (conv.is(layer)) return true;
  const plain = gemm.number(layer, 'alpha') === 1 && gemm.number(layer, 'beta') === 1;
  return plain && gemm.number(layer, 'transB') === 1;
}

function foldInto(
  weights: Tensor,
  bias: Tensor | null,
  { scale, shift }: Affine,
): { weights: Float32Array; bias: Float32Array } {
  const channels = weights.shape[0];
  const source = weights.data as Float32Array;
  const inner = source.length / channels;
  const data = new Float32Array(source.length);
  const folded = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    const a = scale[scale.length === 1 ? 0 : c];
    const b = shift[shift.length === 1 ? 0 : c];
    for (let i = c * inner; i < (c + 1) * inner; i++) data[i] = source[i] * a;
    const old = bias ? Number(bias.data[bias.data.length === 1 ? 0 : c]) : 0;
    folded[c] = old * a + b;
  }
  return { weights: data, bias: folded };
}

/** What `node` does to `input`, a value of `rank` dimensions with channels second; undefined where it is not affine. */
export function affineOf(
  graph: Graph,
  node: Node,
  input: string,
  channels: number,
  rank: number,
): Affine | undefined {
  if (batchNormalization.is(node)) return batchNormAffine(graph, node, channels);
  const [a = '', b = ''] = node.inputs;
  if (node.inputs.length !== 2 || a === b) return undefined;
  const constant = channelConstant(graph, a === input ? b : a, channels, rank);
  if (!constant) return undefined;
  const first = a === input;
  const zero = Float64Array.of(0);
  if (add.is(node)) return { scale: Float64Array.of(1), shift: constant };
  if (mul.is(node)) return { scale: constant, shift: zero };
  if (sub.is(node)) {
    return first
      ? { scale: Float64Array.of(1), shift: constant.map((value) => -value) }
      : { scale: Float64Array.of(-1), shift: constant };
  }
  return div.is(node) && first ? { scale: constant.map((value) => 1 / value), shift: zero } : undefined;
}

function batchNormAffine(graph: Graph, node: Node, channels: number): Affine | undefined {
  const parameters = node.inputs.slice(1).map((name) => graph.constants.get(name)?.data);
  if (!parameters.every((data) => data instanceof Float32Array && data.length === channels)) return undefined;
  const [gamma, beta, mean, variance] = parameters as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const epsilon = Math.fround(batchNormalization.number(node, 'epsilon'));
  const scale = Float64Array.from(gamma, (g, c) => g / Math.sqrt(variance[c] + epsilon));
  return { scale, shift: Float64Array.from(beta, (b, c) => b - mean[c] * scale[c]) };
}

/** A constant that broadcasts along the channels alone: one element, or [C, 1, 1] with or without a leading 1. */
function channelConstant(
  graph: Graph,
  name: string,
  channels: number,
  rank: number,
): Float64Array | undefined {
  const tensor = graph.constants.get(name);
  if (!(tensor?.data instanceof Float32Array) || tensor.shape.length > rank) return undefined;
  if (tensor.data.length === 1) return Float64Array.from(tensor.data);
  const aligned = [...Array<number>(rank - tensor.shape.length).fill(1), ...tensor.shape];
  const perChannel = aligned.every((dim, axis) => dim === (axis === 1 ? channels : 1));
  return perChannel ? Float64Array.from(tensor.data) : undefined;
}
