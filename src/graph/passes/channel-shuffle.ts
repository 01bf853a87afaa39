import { constantScalar } from '../attributes.ts';
import { type GraphIndex, indexGraph } from '../graph-index.ts';
import type { Graph, Node, Tensor } from '../graph.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { gather } from '../operators/gather.ts';
import { quantizeLinear } from '../operators/quantize-linear.ts';
import { reshape } from '../operators/reshape.ts';
import { transpose, transposedAxes } from '../operators/transpose.ts';
import { valueNames } from '../rewrite.ts';
import { MAX_CHANNELS, MAX_LISTED } from '../strided.ts';

/**
 * Makes a Gather of each channel shuffle: a Reshape to [N, groups, C / groups, …], a Transpose of the two, and a Reshape back (Zhang et al.
 * 2018, ShuffleNet). In a quantized graph, QuantizeLinear and DequantizeLinear may stand between them. Expects inferred shapes; the
 * nodes that nothing reads any more stay.
 */
export function channelShuffle(graph: Graph): Graph {
  const index = indexGraph(graph);
  const names = valueNames(graph);
  // Layers that shuffle alike share the constant.
  const orders = new Map<string, string>();
  let left = MAX_LISTED;
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.map((node): Node => {
    const shuffle = reshape.is(node) ? findShuffle(index, node) : undefined;
    if (!shuffle) return node;
    const { input, groups, channels } = shuffle;
    if (channels > left) return node;
    const key = `${groups}, ${channels}`;
    let name = orders.get(key);
    if (name === undefined) {
      left -= channels;
      const size = channels / groups;
      const order = BigInt64Array.from({ length: channels }, (_, c) =>
        BigInt((c % groups) * size + Math.floor(c / groups)),
      );
      name = names.fresh(`${node.name}.channels`);
      const tensor: Tensor = { name, dtype: 'int64', shape: [channels], data: order };
      constants.set(name, tensor);
      orders.set(key, name);
    }
    return { ...node, op: gather.op, inputs: [input, name], attributes: { axis: 1 } };
  });
  return { ...graph, nodes, constants };
}

interface Shuffle {
  readonly input: string;
  readonly groups: number;
  readonly channels: number;
}

/** The shuffle that ends in `last`, a Reshape. */
function findShuffle(index: GraphIndex, last: Node): Shuffle | undefined {
  const { values } = index.graph;
  const pairs: Node[] = [];
  const swap = index.producer(behindPair(index, last.inputs[0], pairs));
  if (!transpose.is(swap)) return undefined;
  const first = index.producer(behindPair(index, swap.inputs[0], pairs));
  if (!reshape.is(first)) return undefined;
  const [input] = first.inputs;
  const from = values.get(input)?.shape;
  const grouped = values.get(first.outputs[0])?.shape;
  const [, groups, size] = grouped ?? [];
  if (!from || !grouped || typeof groups !== 'number' || typeof size !== 'number') return undefined;
  const [batch, channels, ...image] = from;
  if (
    channels !== groups * size ||
    channels > MAX_CHANNELS ||
    grouped.join() !== [batch, groups, size, ...image].join()
  )
    return undefined;
  const order = transposedAxes(swap, grouped.length);
  const isSwap = order.join() === [0, 2, 1, ...image.map((_, i) => i + 3)].join();
  const isBack = values.get(last.outputs[0])?.shape.join() === from.join();
  // A value that is quantized like the input, whose elements it has, is what it was.
  const source = index.producer(input);
  const isExact = pairs.every(
    (pair) => source && parametersOf(index.graph, pair) === parametersOf(index.graph, source),
  );
  return isSwap && isBack && isExact ? { input, groups, channels } : undefined;
}

/** What stands before `name`, or before the QuantizeLinear and DequantizeLinear that it comes from; these go to `pairs`. */
function behindPair(index: GraphIndex, name: string, pairs: Node[]): string {
  const dequantize = index.producer(name);
  const quantize = dequantizeLinear.is(dequantize) ? index.producer(dequantize.inputs[0]) : undefined;
  if (!dequantize || !quantizeLinear.is(quantize)) return name;
  pairs.push(quantize, dequantize);
  return quantize.inputs[0];
}

/** Scale, zero point and type of a QuantizeLinear or DequantizeLinear. */
function parametersOf(graph: Graph, { inputs }: Node): string {
  const [, scale, zeroPoint] = inputs;
  return [
    constantScalar(graph, scale),
    constantScalar(graph, zeroPoint),
    graph.constants.get(zeroPoint)?.dtype,
  ].join();
}
