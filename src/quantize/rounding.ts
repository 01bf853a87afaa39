/**
 * Rounding of a layer's weights so that its outputs change least, derived in docs/quantization.md. With H the second moments of the layer's
 * inputs, the squared error of an output channel is a quadratic form of the error of its weights:
 * `(ŵ − v) H (ŵ − v)ᵀ`, v being the real weights that are best for these inputs.
 */
import { roundHalfToEven } from '../program/multiplier.ts';
import type { MatrixProduct } from './matrix-product.ts';
import { toScale } from './scheme.ts';
import { factorize, solveBackward, solveForward } from './triangular.ts';

/** One group of a layer: its channels share their inputs. */
export interface RoundingProblem {
  readonly channels: number;
  readonly features: number;
  /** [features, features], symmetric: mean products of inputs, damped. */
  readonly hessian: Float32Array;
  /** [channels, features]: `v H`, of which v is the best real solution. */
  readonly target: Float32Array;
}

export interface IntegerGrid {
  readonly qmin: number;
  readonly qmax: number;
}

export interface RoundedWeights {
  /** [channels, features]. */
  readonly integers: Int8Array;
  /** [channels]. */
  readonly scales: Float32Array;
}

/** Scales that are tried between 0 and the one that clips nothing, then around the best of them. */
const COARSE_SCALES = 20;
const FINE_SCALES = 6;

/** Passes of coordinate descent; few channels change after that. */
const MAX_PASSES = 12;

/**
 * GPTQ (Frantar et al. 2022): weights are rounded one after the other, each time the rest, not yet rounded, makes up for the error as well as
 * it can. With `H = L Lᵀ` the error is `‖(ŵ − v) L‖²`, in whose column j only ŵⱼ and later weights occur: it is Babai's nearest plane
 * algorithm, one back substitution. Features with the largest H_jj are rounded first.
 *
 * @param scales scales [channels] that are kept; without them each channel's is searched
 * @param largest scales [channels] that clip nothing, the upper end of the search
 */
export async function roundByGptq(
  problem: RoundingProblem,
  { qmin, qmax }: IntegerGrid,
  largest: Float32Array,
  product: MatrixProduct,
  search: boolean,
): Promise<RoundedWeights> {
  const { channels, features, hessian, target } = problem;
  const order = Int32Array.from({ length: features }, (_, i) => i);
  order.sort((a, b) => hessian[a * features + a] - hessian[b * features + b] || a - b);
  const factor = new Float32Array(features * features);
  const diagonal = new Float64Array(features);
  for (let row = 0; row < features; row++) {
    const from = order[row] * features;
    diagonal[row] = hessian[from + order[row]];
    for (let column = 0; column <= row; column++)
      factor[row * features + column] = hessian[from + order[column]];
  }
  if (!(await factorize(factor, features, product))) {
    throw new RangeError('the second moments of a layer’s inputs are not positive definite');
  }
  const permuted = new Float32Array(channels * features);
  for (let c = 0, i = 0; c < channels; c++) {
    for (let k = 0; k < features; k++, i++) permuted[i] = target[c * features + order[k]];
  }
  await solveForward(permuted, factor, channels, features, product);
  let scales = largest;
  if (search) {
    const real = permuted.slice();
    await solveBackward(real, factor, channels, features, product, (value) => value);
    scales = searchScales(real, diagonal, { qmin, qmax }, largest);
  }
  const rounded = new Int8Array(channels * features);
  await solveBackward(permuted, factor, channels, features, product, (value, c, k) => {
    const scale = scales[c];
    const q = Math.min(Math.max(roundHalfToEven(value / scale), qmin), qmax);
    rounded[c * features + order[k]] = q;
    return q * scale;
  });
  return { integers: rounded, scales };
}

/**
 * For each channel the scale with which rounding to nearest has the least squared error, weighted by `importance` [features]. Never above
 * `largest`.
 */
export function searchScales(
  weights: Float32Array,
  importance: Float64Array | undefined,
  { qmin, qmax }: IntegerGrid,
  largest: Float32Array,
): Float32Array {
  const features = weights.length / largest.length;
  return largest.map((most, c) => {
    const row = weights.subarray(c * features, (c + 1) * features);
    let best = most;
    let least = Infinity;
    const consider = (scale: number): void => {
      const inverse = 1 / scale;
      let error = 0;
      for (let k = 0; k < features; k++) {
        const q = Math.min(Math.max(Math.round(row[k] * inverse), qmin), qmax);
        const difference = row[k] - q * scale;
        error += (importance ? importance[k] : 1) * difference * difference;
      }
      if (error < least) {
        least = error;
        best = scale;
      }
    };
    for (let i = COARSE_SCALES; i > 0; i--) consider((most * i) / COARSE_SCALES);
    const centre = best;
    for (let i = -FINE_SCALES; i <= FINE_SCALES; i++) {
      const scale = centre + (most * i) / (COARSE_SCALES * (FINE_SCALES + 1));
      if (scale > 0 && scale < most) consider(scale);
    }
    return toScale(best);
  });
}

/**
 * Coordinate descent on the same quadratic form (QuantEase, Behdin et al. 2023): each weight in turn goes to the integer that is best given all
 * others, and the scale of each channel to its least-squares value, until nothing moves. The error never grows.
 *
 * @param start a first solution, by GPTQ
 * @param refit whether scales may move
 */
export async function descend(
  { channels, features, hessian, target }: RoundingProblem,
  { qmin, qmax }: IntegerGrid,
  start: RoundedWeights,
  product: MatrixProduct,
  refit: boolean,
): Promise<RoundedWeights> {
  const integers = start.integers.slice();
  const scales = start.scales.slice();
  const products = await product.multiply(Float32Array.from(integers), hessian, channels, features, features);
  for (let c = 0; c < channels; c++) {
    const q = integers.subarray(c * features, (c + 1) * features);
    // q H, kept up to date.
    const moments = Float64Array.from(products.subarray(c * features, (c + 1) * features));
    const aim = target.subarray(c * features, (c + 1) * features);
    let scale = scales[c];
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      if (refit) scale = leastSquaresScale(q, moments, aim) ?? scale;
      let moved = false;
      for (let k = 0; k < features; k++) {
        const own = hessian[k * features + k];
        const step = Math.round((aim[k] / scale - moments[k]) / own);
        if (step === 0) continue;
        const next = Math.min(Math.max(q[k] + step, qmin), qmax);
        const change = next - q[k];
        if (change === 0) continue;
        q[k] = next;
        moved = true;
        const row = k * features;
        for (let j = 0; j < features; j++) moments[j] += change * hessian[row + j];
      }
      if (!moved) break;
    }
    scales[c] = scale;
  }
  return { integers, scales };
}

/** The scale that brings `scale · q` nearest to the target; undefined where that is not positive. */
function leastSquaresScale(q: Int8Array, moments: Float64Array, aim: Float32Array): number | undefined {
  let alignment = 0;
  let power = 0;
  for (let k = 0; k < q.length; k++) {
    alignment += q[k] * aim[k];
    power += q[k] * moments[k];
  }
  return alignment > 0 && power > 0 ? toScale(alignment / power) : undefined;
}
