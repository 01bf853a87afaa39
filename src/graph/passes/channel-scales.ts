/** Activations with a scale for each channel, where depthwise convolutions read them: the scales go into the weights. */
import { constantScalar, numberAttribute, resolveAxis } from '../attributes.ts';
import { type GraphIndex, indexGraph } from '../graph-index.ts';
import type { Graph, Node, Tensor } from '../graph.ts';
import { roundToEven } from '../half.ts';
import { clip, clipBounds } from '../operators/clip.ts';
import { conv } from '../operators/conv.ts';
import { dequantizeLinear } from '../operators/dequantize-linear.ts';
import { div } from '../operators/div.ts';
import { quantizeLinear } from '../operators/quantize-linear.ts';
import { relu } from '../operators/relu.ts';
import { Names, valueNames } from '../rewrite.ts';

/**
 * Quantizing x by the scales s of its channels is quantizing x / s by a scale of 1: the same division, the same integers. A depthwise
 * convolution with the weight scales w reads the same real values from these with the weight scales `s·w`. Where the zero points of the
 * channels differ, or something else reads the values, they stay as they are. Expects inferred shapes.
 */
export function channelScales(graph: Graph): Graph {
  const index = indexGraph(graph);
  const writer = new Writer(index);
  for (const node of graph.nodes) {
    const found = quantizeLinear.is(node) ? findScales(index, node) : undefined;
    if (found) writer.write(found);
  }
  return writer.finish();
}

interface Found {
  readonly quantize: Node;
  readonly scales: Float32Array;
  /** The one zero point of all channels, and its type; undefined: 0 of uint8. */
  readonly zeroPoint: Tensor | undefined;
  readonly dequantizers: readonly Node[];
  readonly layers: readonly Node[];
}

function findScales(index: GraphIndex, quantize: Node): Found | undefined {
  const { graph } = index;
  const [x, scaleName, zeroPointName = ''] = quantize.inputs;
  const scale = graph.constants.get(scaleName);
  const zeros = graph.constants.get(zeroPointName);
  const shape = graph.values.get(x)?.shape ?? [];
  const isOfChannels = (node: Node) => resolveAxis(numberAttribute(node, 'axis', 1), shape.length) === 1;
  if (!(scale?.data instanceof Float32Array) || scale.data.length < 2 || scale.data.length !== shape[1])
    return undefined;
  const [zero] = zeros?.data ?? [0];
  if ((zeroPointName !== '' && !zeros) || zeros?.data.some((each) => each !== zero)) return undefined;
  if (!isOfChannels(quantize) || !scale.data.every((s) => s > 0 && s < Infinity)) return undefined;
  const dequantizers = index.readers(quantize.outputs[0]);
  const isSame = (name: string, other: string) =>
    name === other || graph.constants.get(name)?.data.join() === graph.constants.get(other)?.data.join();
  const layers = dequantizers.flatMap((node) => index.readers(node.outputs[0]));
  const isAlone = ![quantize, ...dequantizers].some(({ outputs }) => index.outputs.has(outputs[0]));
  const fits =
    isAlone &&
    layers.length > 0 &&
    dequantizers.every(
      (node) =>
        dequantizeLinear.is(node) &&
        isOfChannels(node) &&
        isSame(node.inputs[1], scaleName) &&
        isSame(node.inputs[2] ?? '', zeroPointName),
    ) &&
    layers.every((layer) => isDepthwise(index, layer, scale.data.length, dequantizers));
  if (!fits) return undefined;
  const zeroPoint = zeros && { ...zeros, shape: [], data: zeros.data.slice(0, 1) as Int8Array };
  return { quantize, scales: scale.data, zeroPoint, dequantizers, layers };
}

/** A convolution of single channels, of one of the values, whose weights have one scale or one for each output channel. */
function isDepthwise(index: GraphIndex, layer: Node, channels: number, values: readonly Node[]): boolean {
  if (!conv.is(layer) || conv.number(layer, 'group') !== channels) return false;
  const weights = index.producer(layer.inputs[1]);
  if (!dequantizeLinear.is(weights)) return false;
  const [data, scale] = weights.inputs.map((name) => index.graph.constants.get(name));
  const isByChannel = scale?.data.length === data?.shape[0] && numberAttribute(weights, 'axis', 1) === 0;
  const isRead =
    layer.inputs.filter((name) => values.some(({ outputs }) => outputs[0] === name)).length === 1;
  return data !== undefined && isRead && (scale?.data.length === 1 || isByChannel);
}

class Writer {
  readonly #index: GraphIndex;
  readonly #constants: Map<string, Tensor>;
  readonly #names: Names;
  readonly #nodeNames: Names;
  /** What stands in the place of a node. */
  readonly #replaced = new Map<Node, readonly Node[]>();

  constructor(index: GraphIndex) {
    this.#index = index;
    this.#constants = new Map(index.graph.constants);
    this.#names = valueNames(index.graph);
    this.#nodeNames = new Names(index.graph.nodes.map(({ name }) => name));
  }

  write(found: Found): void {
    const { quantize, scales, zeroPoint, dequantizers, layers } = found;
    const [x] = quantize.inputs;
    const clamp = this.#clampBefore(found);
    if (clamp) this.#replaced.set(clamp.node, []);
    const rank = this.#index.graph.values.get(x)!.shape.length;
    const sizes = Array.from({ length: rank - 1 }, (_, axis) => (axis === 0 ? scales.length : 1));
    const one = this.#constant(quantize, 'scale', { dtype: 'float32', shape: [], data: Float32Array.of(1) });
    const zero = zeroPoint ? [this.#constant(quantize, 'zero_point', zeroPoint)] : [];
    const divisor = this.#constant(quantize, 'scales', { dtype: 'float32', shape: sizes, data: scales });
    const divided = this.#names.fresh(`${x}.divided`);
    const before: Node[] = [
      {
        name: this.#nodeNames.fresh(`${quantize.name}.divide`),
        op: div.op,
        inputs: [clamp ? clamp.node.inputs[0] : x, divisor],
        outputs: [divided],
        attributes: {},
      },
    ];
    let value = divided;
    if (clamp) {
      value = this.#names.fresh(`${x}.clamped`);
      const bounds = clamp.bounds.map((bound) =>
        this.#constant(quantize, 'bound', { dtype: 'float32', shape: [], data: Float32Array.of(bound) }),
      );
      before.push({
        name: clamp.node.name,
        op: clip.op,
        inputs: [divided, ...bounds],
        outputs: [value],
        attributes: {},
      });
    }
    this.#replaced.set(quantize, [...before, { ...quantize, inputs: [value, one, ...zero], attributes: {} }]);
    for (const node of dequantizers) {
      this.#replaced.set(node, [{ ...node, inputs: [node.inputs[0], one, ...zero], attributes: {} }]);
    }
    for (const layer of layers) this.#replaced.set(layer, this.#layer(layer, scales));
  }

  /** The Relu or Clip before, where it leaves the same integers in all channels, with the real bounds that do so at a scale of 1. */
  #clampBefore({
    scales,
    zeroPoint,
    quantize,
  }: Found): { readonly node: Node; readonly bounds: readonly number[] } | undefined {
    const { graph } = this.#index;
    const [x] = quantize.inputs;
    const node = this.#index.producer(x);
    if (!node || this.#index.onlyReader(x) !== quantize) return undefined;
    const bounds = relu.is(node)
      ? ([0, Infinity] as const)
      : clip.is(node)
        ? clipBounds(node, (name) => constantScalar(graph, name))
        : undefined;
    if (!bounds) return undefined;
    const isSigned = zeroPoint?.dtype === 'int8';
    const zero = Number(zeroPoint?.data[0] ?? 0);
    const [least, largest] = isSigned ? [-128, 127] : [0, 255];
    /** In steps from the zero point. */
    const steps = bounds.map((bound) => {
      const all = Array.from(scales, (scale) =>
        Math.min(largest - zero, Math.max(least - zero, roundToEven(Math.fround(bound / scale)))),
      );
      return all.every((each) => each === all[0]) ? all[0] : NaN;
    });
    return steps.some(Number.isNaN) ? undefined : { node, bounds: steps };
  }

  /** The layer with the scales of its input in its weights. */
  #layer(layer: Node, scales: Float32Array): Node[] {
    const { graph } = this.#index;
    const weights = this.#index.producer(layer.inputs[1])!;
    const data = graph.constants.get(weights.inputs[0])!;
    const own = graph.constants.get(weights.inputs[1])!.data;
    const zeros = graph.constants.get(weights.inputs[2] ?? '');
    const [channels] = data.shape;
    const perGroup = channels / scales.length;
    const scale = Float32Array.from(
      { length: channels },
      (_, c) => Number(own[own.length > 1 ? c : 0]) * scales[Math.floor(c / perGroup)],
    );
    const inputs = [
      weights.inputs[0],
      this.#constant(layer, 'scale', { dtype: 'float32', shape: [channels], data: scale }),
    ];
    if (zeros) {
      const zero = new (zeros.data.constructor as new (length: number) => Int8Array)(channels);
      zero.set(Int32Array.from(zero, (_, c) => Number(zeros.data[zeros.data.length > 1 ? c : 0])));
      inputs.push(this.#constant(layer, 'zero_point', { ...zeros, shape: [channels], data: zero }));
    }
    const output = this.#names.fresh(`${layer.name}.dequantized`);
    const name = this.#nodeNames.fresh(`${layer.name}.dequantize`);
    return [
      { ...weights, name, inputs, outputs: [output], attributes: { axis: 0 } },
      { ...layer, inputs: layer.inputs.with(1, output) },
    ];
  }

  #constant({ name }: Node, what: string, tensor: Omit<Tensor, 'name'>): string {
    const fresh = this.#names.fresh(`${name}.${what}`);
    this.#constants.set(fresh, { ...tensor, name: fresh });
    return fresh;
  }

  finish(): Graph {
    const { graph } = this.#index;
    if (this.#replaced.size === 0) return graph;
    const nodes = graph.nodes.flatMap((node) => this.#replaced.get(node) ?? [node]);
    return { ...graph, nodes, constants: this.#constants };
  }
}
