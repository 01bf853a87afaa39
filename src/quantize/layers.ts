/** Which values of a float graph become integers, and which share their scales. */
import { indexGraph, type GraphIndex } from '../graph/graph-index.ts';
import type { Graph, Node, Tensor } from '../graph/graph.ts';
import { add } from '../graph/operators/add.ts';
import { conv } from '../graph/operators/conv.ts';
import { gemm } from '../graph/operators/gemm.ts';
import { keepsValues } from '../graph/operators/operator.ts';
import { roleOf } from '../graph/operators/registry.ts';
import { softmax } from '../graph/operators/softmax.ts';
import { followClamps, unaryRegion, type ClampChain } from '../graph/patterns.ts';
import type { LayerNames } from './recipe.ts';

/** A value that a QuantizeLinear will follow. */
export interface QuantizedValue {
  /** Name in the float graph: behind the clamps that follow the producer. */
  readonly name: string;
  /** Node that computes it, the last one of an element-wise function; undefined for a graph input. */
  readonly producer: Node | undefined;
  /** Relu and Clip between the producer and the value: they become bounds of its integers. */
  readonly clamps: ClampChain;
  /** The earlier value whose scale and zero point it takes over: its integers are that value's, moved or selected. */
  readonly sharedWith: string | undefined;
  /** Names by which a recipe may address it. */
  readonly names: LayerNames;
}

/** A convolution or dense layer with constant weights. */
export interface WeightedLayer {
  readonly node: Node;
  /** The activation it reads. */
  readonly input: string;
  /** Output channels on axis 0. */
  readonly weights: Tensor;
  /** [outChannels], zeros where the node has none. */
  readonly bias: Float32Array;
  readonly names: LayerNames;
}

export interface QuantizationLayers {
  /** By float name, in topological order. */
  readonly values: ReadonlyMap<string, QuantizedValue>;
  /** By node name, in topological order. */
  readonly weighted: ReadonlyMap<string, WeightedLayer>;
}

/** Sorts the values and nodes of an optimized float graph into what quantization does with them. */
export function findLayers(graph: Graph): QuantizationLayers {
  const index = indexGraph(graph);
  const weighted = new Map<string, WeightedLayer>();
  for (const node of graph.nodes) {
    const layer = weightedLayer(graph, node);
    if (layer) weighted.set(node.name, layer);
  }

  /** Values that stay float: from the last layer's accumulators to the output, and a softmax there in any case. */
  const tail = new Set<string>();
  for (const output of graph.outputs) {
    const chain: Node[] = [];
    let name = output.name;
    let node = index.producer(name);
    let isFloat = index.readers(name).length === 0;
    // A value that something else reads is needed as integers.
    while (node && isFloat && (softmax.is(node) || roleOf(graph, node) === 'renames')) {
      chain.push(node);
      name = node.inputs[0]!;
      node = index.producer(name);
      isFloat = index.onlyReader(name) !== undefined;
    }
    const isLastLayer = node !== undefined && isFloat && weighted.has(node.name);
    if (isLastLayer) tail.add(name);
    for (const tailNode of chain) {
      if (isLastLayer || softmax.is(tailNode)) tail.add(tailNode.outputs[0]);
    }
  }

  const functions = elementwiseFunctions(index);
  const clamping = new Set<Node>();
  const values = new Map<string, QuantizedValue>();
  const addValue = (producer: Node | undefined, clamps: ClampChain, sharedWith?: string): void => {
    const names = [
      producer?.name,
      producer?.outputs[0],
      ...clamps.nodes.map((node) => node.name),
      clamps.output,
    ];
    values.set(clamps.output, {
      name: clamps.output,
      producer,
      clamps,
      sharedWith,
      names: [...new Set(names.filter((name) => name !== undefined))],
    });
  };
  for (const { name, dtype } of graph.inputs) {
    if (dtype === 'float32' && !graph.constants.has(name)) addValue(undefined, unclamped(name));
  }
  for (const node of graph.nodes) {
    const name = node.outputs[0];
    if (tail.has(name) || clamping.has(node) || functions.inner.has(node)) continue;
    // Sizes of a Reshape, which are computed from a Shape.
    const dtype = graph.values.get(name)?.dtype;
    if (dtype !== undefined && dtype !== 'float32') continue;
    const source = keepsValues(roleOf(graph, node)) ? values.get(node.inputs[0]) : undefined;
    if (source) {
      addValue(node, unclamped(name), source.sharedWith ?? source.name);
      continue;
    }
    const clamps = functions.last.has(node) ? unclamped(name) : followClamps(index, name);
    for (const clamp of clamps.nodes) clamping.add(clamp);
    addValue(node, clamps);
  }
  return { values, weighted };
}

function unclamped(output: string): ClampChain {
  return { nodes: [], output, lo: -Infinity, hi: Infinity };
}

/**
 * Nodes of element-wise functions: only what the last one computes is quantized, inner values stay real. Clamps right behind a
 * layer are not among them: they are bounds of its integers.
 */
function elementwiseFunctions(index: GraphIndex): {
  readonly inner: ReadonlySet<Node>;
  readonly last: ReadonlySet<Node>;
} {
  const inner = new Set<Node>();
  const last = new Set<Node>();
  for (const node of index.graph.nodes.toReversed()) {
    const region = inner.has(node) ? undefined : unaryRegion(index, node);
    // The sum of two functions of one value is an addition like others: its operands are quantized.
    if (!region || region.nodes.some((each) => isSum(index, each))) continue;
    const source = index.producer(region.input);
    const clamps =
      source && !keepsValues(roleOf(index.graph, source)) ? followClamps(index, region.input).nodes : [];
    const isClamp = region.nodes.every((each) => clamps.includes(each));
    if (isClamp) continue;
    last.add(node);
    for (const each of region.nodes) if (each !== node) inner.add(each);
  }
  return { inner, last };
}

function isSum({ graph }: GraphIndex, node: Node): boolean {
  return add.is(node) && node.inputs.every((name) => !graph.constants.has(name));
}

/** A Conv or Gemm with constant weights; `optimize` has brought every Gemm to transB = 1, alpha = beta = 1. */
function weightedLayer(graph: Graph, node: Node): WeightedLayer | undefined {
  if (!conv.is(node) && !gemm.is(node)) return undefined;
  const [input, weightName, biasName] = node.inputs;
  const weights = graph.constants.get(weightName);
  if (!(weights?.data instanceof Float32Array) || weights.shape.length < 2) return undefined;
  const isUnit = (name: 'alpha' | 'beta' | 'transB') => gemm.number(node, name) === 1;
  const isPlain = isUnit('alpha') && isUnit('beta') && isUnit('transB') && gemm.number(node, 'transA') === 0;
  if (gemm.is(node) && !isPlain) return undefined;
  const bias = biasName ? graph.constants.get(biasName)?.data : new Float32Array(weights.shape[0]);
  if (!(bias instanceof Float32Array) || bias.length !== weights.shape[0]) return undefined;
  return { node, input, weights, bias, names: [node.name, node.outputs[0]] };
}
