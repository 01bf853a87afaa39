/**
 * Cross-layer equalization (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section
 * 4.1). Scaling an output channel of one layer by 1/s and the matching input channel of the next by s leaves the
 * function unchanged where everything between is positively homogeneous, and balances the ranges of the weights.
 */
import type { Graph, Node, Tensor } from '../graph/graph.ts';
import { indexGraph } from '../graph/graph-index.ts';
import { log } from '../numerics/elementary.ts';
import { conv } from '../graph/operators/conv.ts';
import { operatorOf } from '../graph/operators/registry.ts';
import { removeUnused } from '../graph/passes/remove-unused.ts';
import { findLayers, type WeightedLayer } from './layers.ts';

/** Rounds over all pairs; ranges settle to a geometric mean within a few. */
const ROUNDS = 10;

/** Scales nearer to 1 than this are not worth a change. */
const SETTLED = 1e-3;

interface EditableLayer {
  readonly layer: WeightedLayer;
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** `graph` with the weights of consecutive layers equalized. Its outputs stay the same up to rounding. */
export function equalize(graph: Graph): Graph {
  const layers = new Map<string, EditableLayer>();
  for (const layer of findLayers(graph).weighted.values()) {
    layers.set(layer.node.name, {
      layer,
      weights: Float32Array.from(layer.weights.data as Float32Array),
      bias: Float32Array.from(layer.bias),
    });
  }
  const pairs = findPairs(graph, layers);
  for (let round = 0; round < ROUNDS; round++) {
    let largest = 0;
    for (const [first, second] of pairs) largest = Math.max(largest, equalizePair(first, second));
    if (largest < SETTLED) break;
  }
  return withWeights(graph, layers);
}

/** Pairs of layers of which the second alone reads the first, through homogeneous operators only. */
function findPairs(
  graph: Graph,
  layers: ReadonlyMap<string, EditableLayer>,
): (readonly [EditableLayer, EditableLayer])[] {
  const index = indexGraph(graph);
  const pairs: (readonly [EditableLayer, EditableLayer])[] = [];
  for (const first of layers.values()) {
    let node: Node | undefined = first.layer.node;
    do {
      node = index.onlyReader(node.outputs[0]);
    } while (node && operatorOf(graph, node)?.homogeneous);
    const second = node && layers.get(node.name);
    if (second && inputSpan(first.layer, second.layer) !== undefined) pairs.push([first, second]);
  }
  return pairs;
}

/** Weights of the second layer, per output and kernel tap, that belong to one channel of the first; undefined where they do not match up. */
function inputSpan(first: WeightedLayer, second: WeightedLayer): number | undefined {
  const channels = first.weights.shape[0];
  const groups = groupsOf(second.node);
  const inputs = second.weights.shape[1] * groups;
  if (conv.is(second.node)) {
    const isDepthwise = groups === channels && second.weights.shape[1] === 1;
    return inputs === channels && (groups === 1 || isDepthwise) ? 1 : undefined;
  }
  // Flattened [C, H, W]: H·W consecutive features a channel.
  return inputs % channels === 0 ? inputs / channels : undefined;
}

function groupsOf(node: Node): number {
  return conv.is(node) ? conv.number(node, 'group') : 1;
}

/** Balances one pair; returns the largest |log s|. */
function equalizePair(first: EditableLayer, second: EditableLayer): number {
  const channels = first.layer.weights.shape[0];
  const firstSize = first.weights.length / channels;
  const firstRanges = new Float64Array(channels);
  for (let i = 0; i < first.weights.length; i++) {
    const c = Math.floor(i / firstSize);
    firstRanges[c] = Math.max(firstRanges[c], Math.abs(first.weights[i]));
  }
  const secondRanges = new Float64Array(channels);
  forEachInput(first.layer, second, (i, c) => {
    secondRanges[c] = Math.max(secondRanges[c], Math.abs(second.weights[i]));
  });
  // s = √(r₁ r₂) / r₂ makes both ranges √(r₁ r₂). A dead channel is left alone.
  const scales = firstRanges.map((r, c) =>
    r > 0 && secondRanges[c] > 0 ? Math.sqrt(r / secondRanges[c]) : 1,
  );
  for (let i = 0; i < first.weights.length; i++) first.weights[i] /= scales[Math.floor(i / firstSize)];
  for (let c = 0; c < channels; c++) first.bias[c] /= scales[c];
  forEachInput(first.layer, second, (i, c) => {
    second.weights[i] *= scales[c];
  });
  return scales.reduce((largest, s) => Math.max(largest, Math.abs(log(s))), 0);
}

/** Visits every weight of `second` with the channel of `first` that it multiplies. */
function forEachInput(
  first: WeightedLayer,
  second: EditableLayer,
  visit: (index: number, channel: number) => void,
): void {
  const [outputs, inputs] = second.layer.weights.shape;
  const taps = second.weights.length / (outputs * inputs);
  const span = inputSpan(first, second.layer)!;
  const isDepthwise = groupsOf(second.layer.node) > 1;
  const multiplier = outputs / first.weights.shape[0];
  for (let o = 0, i = 0; o < outputs; o++) {
    for (let k = 0; k < inputs; k++) {
      const channel = isDepthwise ? Math.floor(o / multiplier) : Math.floor(k / span);
      for (let tap = 0; tap < taps; tap++, i++) visit(i, channel);
    }
  }
}

function withWeights(graph: Graph, layers: ReadonlyMap<string, EditableLayer>): Graph {
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.map((node) => {
    const edited = layers.get(node.name);
    if (!edited) return node;
    const { layer, weights, bias } = edited;
    const put = (suffix: string, shape: readonly number[], data: Float32Array): string => {
      const name = `${node.name}_${suffix}`;
      const tensor: Tensor = { name, dtype: 'float32', shape, data };
      constants.set(name, tensor);
      return name;
    };
    return {
      ...node,
      inputs: [
        layer.input,
        put('equalized_weight', layer.weights.shape, weights),
        put('equalized_bias', [bias.length], bias),
      ],
    };
  });
  // The weights before equalization are not part of the model: neither written nor counted.
  return removeUnused({ ...graph, nodes, constants });
}
