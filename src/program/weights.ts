import * as v from 'valibot';
import { check, count } from '../arguments.ts';
import { InputError } from '../errors.ts';

/** Bits that hold a weight. */
export type WeightBits = 8 | 4 | 2;

/** Dimensions of a layer's weights. */
export interface WeightShape {
  readonly outChannels: number;
  /** Positions of the kernel, row by row. */
  readonly taps: number;
  /** Input channels that one output channel reads: those of its group. */
  readonly inChannels: number;
}

/**
 * Weights of a convolution or dense layer as values. How they lie in memory is up to the kernel that reads them: a `WeightLayout`
 * (src/ops/conv2d/weight-layout.ts) packs them.
 */
export interface Weights extends WeightShape {
  /** K of the layer as a matrix product, `taps · inChannels`: the length of a row. */
  readonly k: number;
  /** The fewest in which every weight is a signed integer: 4 for −8…7, 2 for −2…1. */
  readonly bits: WeightBits;
  /** [outChannels] int8, absent where all are 0. */
  readonly zeroPoint?: Int8Array;
  /** [outChannels][taps][inChannels] (OHWI), one int8 each whatever the bits. Read-only. */
  rows(): Int8Array;
}

class Int8Weights implements Weights {
  #bits?: WeightBits;
  readonly outChannels: number;
  readonly taps: number;
  readonly inChannels: number;
  readonly k: number;
  readonly zeroPoint?: Int8Array;
  readonly values: Int8Array;

  constructor({ outChannels, taps, inChannels }: WeightShape, values: Int8Array, zeroPoint?: Int8Array) {
    this.outChannels = outChannels;
    this.taps = taps;
    this.inChannels = inChannels;
    this.k = taps * inChannels;
    if (values.length !== outChannels * this.k) {
      throw new InputError(
        `${values.length} weights for ${outChannels} output channels of ${taps} taps × ${inChannels} channels each: pass ${outChannels * this.k}`,
      );
    }
    if (zeroPoint && zeroPoint.length !== outChannels) {
      throw new InputError(
        `${zeroPoint.length} zero points for ${outChannels} output channels: pass one each`,
      );
    }
    this.values = values;
    if (zeroPoint) this.zeroPoint = zeroPoint;
  }

  get bits(): WeightBits {
    return (this.#bits ??= fewestBits(this.values));
  }

  rows(): Int8Array {
    return this.values;
  }
}

function fewestBits(values: Int8Array): WeightBits {
  let isPair = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < -8 || value > 7) return 8;
    isPair &&= value >= -2 && value <= 1;
  }
  return isPair ? 2 : 4;
}

const int8s = v.instance(Int8Array, 'an Int8Array');
const int8WeightsArguments = {
  shape: v.object({ outChannels: count, taps: count, inChannels: count }, 'a WeightShape'),
  values: int8s,
  zeroPoint: v.optional(int8s),
};

/**
 * Weights as int8 values. Where all of them fit fewer bits, devices may store them so.
 *
 * @param values [outChannels][taps][inChannels] (OHWI), kept, not copied
 * @param zeroPoint [outChannels]; left out where all are 0
 * @throws InputError where there are more or fewer values than the shape has, or zero points than output channels
 */
export function int8Weights(shape: WeightShape, values: Int8Array, zeroPoint?: Int8Array): Weights {
  check('int8Weights', int8WeightsArguments, { shape, values, zeroPoint });
  return new Int8Weights(shape, values, zeroPoint);
}

/** Results of `weightSums` and `weightMagnitudes`: each plan of a program asks again. */
const sums = new WeakMap<Weights, Float64Array>();
const magnitudes = new WeakMap<Weights, Float64Array>();

/** `Σw` of each output channel. */
export function weightSums(weights: Weights): Float64Array {
  let result = sums.get(weights);
  if (!result) {
    const rows = weights.rows();
    const { k } = weights;
    result = new Float64Array(weights.outChannels);
    for (let o = 0, i = 0; o < result.length; o++) {
      let sum = 0;
      for (const end = i + k; i < end; i++) sum += rows[i];
      result[o] = sum;
    }
    sums.set(weights, result);
  }
  return result;
}

/** `Σ|w − z_w|` of each output channel. */
export function weightMagnitudes(weights: Weights): Float64Array {
  let result = magnitudes.get(weights);
  if (!result) {
    const rows = weights.rows();
    const { k, zeroPoint } = weights;
    result = new Float64Array(weights.outChannels);
    for (let o = 0, i = 0; o < result.length; o++) {
      const z = zeroPoint ? zeroPoint[o] : 0;
      let sum = 0;
      for (const end = i + k; i < end; i++) sum += Math.abs(rows[i] - z);
      result[o] = sum;
    }
    magnitudes.set(weights, result);
  }
  return result;
}
