/** Quantization of weights and biases. */
import { ModelError, type ModelProblem } from '../errors.ts';
import { roundHalfToEven } from '../program/multiplier.ts';
import { integerRange, SMALLEST_SCALE, toScale } from './scheme.ts';
import type { WeightRecipe } from './recipe.ts';
import type { WeightedLayer } from './layers.ts';

export interface QuantizedLayer {
  /** In the layer's shape, output channels first. */
  readonly weights: Int8Array;
  /** [outChannels] per channel, [1] per tensor. */
  readonly scales: Float32Array;
  /** [outChannels], scale `fl32(inputScale · scales[c])`. */
  readonly bias: Int32Array;
  readonly biasScales: Float32Array;
}

/** Largest |bias| in int32: half the range, the other half is for the products. */
const BIAS_LIMIT = 2 ** 30;

/**
 * A channel whose weights are this much smaller than the layer's largest adds nothing that an int8 output can show. Its scale stops
 * here, so that scales stay far from the smallest float32.
 */
const SMALLEST_SHARE = 2 ** -24;

/** Bits that a bias keeps below its largest value in a layer of which all weights are 0. */
const BIAS_ONLY_BITS = 24;

/**
 * Rounds the weights of a layer to symmetric integers, and its bias to int32 at the scale of the accumulators.
 *
 * Scales are widened where they must be: a bias that would not fit in int32, channels that are all 0.
 *
 * @param inputScale scale of the activation that the layer reads
 * @param correction given the rounded weights as reals, what to add to the bias (bias-correction.ts)
 */
export function quantizeLayer(
  layer: WeightedLayer,
  inputScale: number,
  recipe: WeightRecipe,
  correction?: (rounded: Float32Array) => Float64Array,
): QuantizedLayer {
  const { qmax } = integerRange(recipe.bits, 'symmetric');
  const scales = widestScales(layer, recipe, inputScale);
  let weights = roundWeights(layer, scales, qmax);
  let bias = Float64Array.from(layer.bias);
  if (correction) {
    const added = correction(dequantizeWeights(weights, scales));
    bias = bias.map((b, c) => b + added[c]);
    if (widenForBias(scales, bias, inputScale)) weights = roundWeights(layer, scales, qmax);
  }
  return withBias(weights, scales, bias, inputScale);
}

/** Scales by the recipe, [outChannels] or [1], with which no weight is clipped and every bias fits. */
export function widestScales(layer: WeightedLayer, recipe: WeightRecipe, inputScale: number): Float32Array {
  const scales = weightScales(layer, recipe);
  widenForBias(scales, layer.bias, inputScale);
  return scales;
}

/**
 * A layer whose weights were rounded elsewhere, with its bias at the scale of the accumulators. Should the bias not fit, scales are widened
 * and weights rounded to nearest.
 *
 * @param bias real biases, [outChannels]
 * @param largest the largest integer of a weight
 */
export function finishLayer(
  layer: WeightedLayer,
  weights: Int8Array,
  scales: Float32Array,
  bias: Float64Array,
  inputScale: number,
  largest: number,
): QuantizedLayer {
  const isWidened = widenForBias(scales, bias, inputScale);
  return withBias(isWidened ? roundWeights(layer, scales, largest) : weights, scales, bias, inputScale);
}

function withBias(
  weights: Int8Array,
  scales: Float32Array,
  bias: Float64Array,
  inputScale: number,
): QuantizedLayer {
  const biasScales = Float32Array.from(bias, (_, c) =>
    toScale(inputScale * scales[scales.length === 1 ? 0 : c]),
  );
  return {
    weights,
    scales,
    bias: Int32Array.from(bias, (b, c) => roundHalfToEven(b / biasScales[c])),
    biasScales,
  };
}

/** @throws {ModelError} naming every layer whose weights or bias hold NaN or infinite values */
export function checkWeights(layers: Iterable<WeightedLayer>): void {
  const problems: ModelProblem[] = [];
  for (const { node, weights, bias } of layers) {
    for (const [what, data] of [
      ['weights', weights.data as Float32Array],
      ['bias', bias],
    ] as const) {
      const at = data.findIndex((v) => !Number.isFinite(v));
      if (at < 0) continue;
      const reason = `its ${what} hold ${data[at]} at index ${at}, which cannot be quantized`;
      problems.push({ node: node.name, op: node.op, reason });
    }
  }
  if (problems.length > 0) throw new ModelError(problems);
}

/** The weights that integers stand for. */
export function dequantizeWeights(weights: Int8Array, scales: Float32Array): Float32Array {
  const size = weights.length / scales.length;
  const result = new Float32Array(weights.length);
  for (let c = 0; c < scales.length; c++) {
    for (let i = c * size; i < (c + 1) * size; i++) result[i] = weights[i] * scales[c];
  }
  return result;
}

/** Raises scales to where every bias fits in half of int32, and stays a normal float32. Returns whether one was raised. */
function widenForBias(scales: Float32Array, bias: ArrayLike<number>, inputScale: number): boolean {
  let isWidened = false;
  for (let c = 0; c < bias.length; c++) {
    const i = scales.length === 1 ? 0 : c;
    const least = toScale(Math.max(Math.abs(bias[c]) / BIAS_LIMIT, SMALLEST_SCALE) / inputScale);
    if (scales[i] >= least) continue;
    scales[i] = least;
    isWidened = true;
  }
  return isWidened;
}

/** [outChannels] or [1] float32 scales by the recipe, before the bias is considered. */
function weightScales(layer: WeightedLayer, recipe: WeightRecipe): Float32Array {
  const data = layer.weights.data as Float32Array;
  const count = recipe.perChannel ? layer.weights.shape[0] : 1;
  const size = data.length / count;
  const { qmax } = integerRange(recipe.bits, 'symmetric');
  const largest = Array.from({ length: count }, (_, c) => largestMagnitude(data, c * size, size));
  const peak = largest.reduce((a, b) => Math.max(a, b), 0);
  if (peak === 0) {
    const biasMagnitude = largestMagnitude(layer.bias, 0, layer.bias.length);
    // Only the bias speaks: keep it precise.
    return new Float32Array(count).fill(
      biasMagnitude === 0 ? 1 : toScale(biasMagnitude * 2 ** -BIAS_ONLY_BITS),
    );
  }
  return Float32Array.from(largest, (max) => {
    // An all-zero channel takes the layer's largest scale: its bias is as precise as the others'.
    if (max === 0) return toScale(peak / qmax);
    return toScale(Math.max(max, peak * SMALLEST_SHARE) / qmax);
  });
}

function largestMagnitude(data: Float32Array, from: number, count: number): number {
  let largest = 0;
  for (let i = from; i < from + count; i++) largest = Math.max(largest, Math.abs(data[i]));
  return largest;
}

function roundWeights(layer: WeightedLayer, scales: Float32Array, qmax: number): Int8Array {
  const data = layer.weights.data as Float32Array;
  const size = data.length / scales.length;
  const result = new Int8Array(data.length);
  for (let c = 0; c < scales.length; c++) {
    const scale = scales[c];
    for (let i = c * size; i < (c + 1) * size; i++) {
      const q = roundHalfToEven(data[i] / scale);
      result[i] = q > qmax ? qmax : q < -qmax ? -qmax : q;
    }
  }
  return result;
}
