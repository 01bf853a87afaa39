/**
 * Fixed-point multipliers: how a real factor between two scales becomes integers, and what multiplying by it
 * means to the bit. The functions here are the definition that every backend's kernels are held to.
 */
import { ModelError } from '../errors.ts';
import type { Rescale } from './program.ts';

/** The real number `mantissa · 2^−shift`; `mantissa` a 24-bit integer, `shift` in 0…56. */
export interface Multiplier {
  readonly mantissa: number;
  readonly shift: number;
}

/** Largest shift of a multiplier: |acc · mantissa| < 2⁵⁵, so beyond 56 bits every accumulator rounds to 0. */
export const MAX_SHIFT = 56;

const float32 = new Float32Array(1);
const float32Bits = new Uint32Array(float32.buffer);

/**
 * The integers behind a float32: its significand and exponent, exactly. Two ranges are saturated, without any
 * effect on an int8 result: below 2⁻³³ the shift stops at 56 (every int32 accumulator still rounds to 0), and
 * from 2²⁴ on it stops at 0 (every accumulator but 0 still saturates).
 *
 * @param real rounded to float32 first
 * @throws ModelError where `real` is not a positive finite float32
 */
export function toMultiplier(real: number): Multiplier {
  float32[0] = real;
  const bits = float32Bits[0];
  const exponent = bits >>> 23; // The sign bit included: a negative number is out of range below.
  const fraction = bits & 0x7fffff;
  if (bits === 0 || exponent >= 255) {
    throw new ModelError(
      `a requantization multiplier must be a positive finite float32, got ${real}: check the scales of the quantized model`,
    );
  }
  // IEEE 754: (2²³ + fraction) · 2^(exponent − 150), or fraction · 2⁻¹⁴⁹ where exponent is 0 (subnormal).
  const mantissa = exponent === 0 ? fraction : fraction | 0x800000;
  const shift = 150 - Math.max(exponent, 1);
  return { mantissa, shift: Math.min(Math.max(shift, 0), MAX_SHIFT) };
}

/**
 * `m = fl32(fl32(s_x · s_w) / s_y)`: ONNX Runtime's order of rounding.
 *
 * @returns a float32 in a number; may be 0 or infinite where the scales are extreme (`toMultiplier` refuses
 * those)
 */
export function requantizeMultiplier(inputScale: number, weightScale: number, outputScale: number): number {
  return Math.fround(
    Math.fround(Math.fround(inputScale) * Math.fround(weightScale)) / Math.fround(outputScale),
  );
}

/** Adding and subtracting it rounds a float64 of magnitude below 2⁵¹ to an integer, ties to even. */
const ROUND = 1.5 * 2 ** 52;

/** Rounds to the nearest integer, ties to even. Exact for |x| < 2⁵¹; beyond, monotonic. */
export function roundHalfToEven(x: number): number {
  return x + ROUND - ROUND;
}

/** `POWER_OF_HALF[n] = 2^−n`. */
const POWER_OF_HALF = Float64Array.from({ length: MAX_SHIFT + 1 }, (_, n) => 2 ** -n);

/**
 * `clamp(zeroPoint + rne(acc · mantissa · 2^−shift), lo, hi)`, exactly.
 *
 * A float64 holds the product exactly below 2⁵³, that is for |acc| < 2²⁹; scaling by a power of two is exact.
 * Larger accumulators take the product in two halves.
 *
 * @param acc int32
 * @param lo,hi within −128…127
 */
export function requantize(
  acc: number,
  mantissa: number,
  shift: number,
  zeroPoint: number,
  lo: number,
  hi: number,
): number {
  const exact = acc > -536870912 && acc < 536870912;
  const scaled = exact ? acc * mantissa * POWER_OF_HALF[shift] : scaleLarge(acc, mantissa, shift);
  const y = zeroPoint + roundHalfToEven(scaled);
  return y < lo ? lo : y > hi ? hi : y;
}

/**
 * A float64 that rounds to the same integer as `acc · mantissa · 2^−shift`, or saturates as it does: the
 * 55-bit product with its lowest two bits folded into a sticky bit ("round to odd"), which keeps ties apart
 * from near ties. For shifts below 4 the sticky bit might matter, but there the result is beyond ±2²⁵ (or the
 * mantissa is 0).
 */
function scaleLarge(acc: number, mantissa: number, shift: number): number {
  const lowProduct = (acc & 0xffff) * mantissa;
  const high = (acc >> 16) * mantissa + Math.floor(lowProduct / 65536);
  const low = lowProduct % 65536;
  const folded = high * 16384 + ((low >> 2) | (low & 3 ? 1 : 0));
  return folded * 4 * POWER_OF_HALF[shift];
}

/** `clamp(zeroPoint + rne(sum · 2^−shift), lo, hi)`, the last step of a `Rescale`. `sum` is an int32. */
export function rescaleSum(sum: number, rescale: Rescale): number {
  const y = rescale.zeroPoint + roundHalfToEven(sum * POWER_OF_HALF[rescale.shift]);
  return y < rescale.lo ? rescale.lo : y > rescale.hi ? rescale.hi : y;
}

/** [256] what a `Rescale` of one input makes of each int8, from −128 on; null where that is itself. */
export function rescaleTable(rescale: Rescale): Int8Array | null {
  const table = Int8Array.from({ length: 256 }, (_, i) =>
    rescaleSum((i - 128 - rescale.inputZeroPoints[0]) * rescale.multipliers[0], rescale),
  );
  return table.every((q, i) => q === i - 128) ? null : table;
}

/**
 * Integers for real factors at a common exponent: `multipliers[i] = rne(factors[i] · 2^shift)` with the
 * largest shift at which `Σ_i 255 · terms[i] · multipliers[i] + 2^(shift−1) < 2³¹`, so that the sum of a
 * `Rescale` is exact in int32.
 *
 * @param factors positive, e.g. `s_x / s_y` of each input
 * @param terms how many values each factor multiplies in one sum (1 for an addition)
 * @param exclusive true where one factor at a time is used (average pooling: one a window size), so that the
 * bound holds for each alone and not for their sum
 * @throws ModelError where a factor is not positive and finite, or so large that no shift fits
 */
export function commonRescale(
  factors: readonly number[],
  terms: readonly number[],
  exclusive = false,
): { readonly multipliers: Int32Array; readonly shift: number } {
  for (const factor of factors) {
    if (!(factor > 0 && factor < Infinity)) {
      throw new ModelError(
        `the ratio of an input's scale to the output's must be positive and finite, got ${factor}: check the scales of the quantized model`,
      );
    }
  }
  const multiplierOf = (factor: number, shift: number) =>
    roundHalfToEven(Math.min(factor * 2 ** shift, 2 ** 31));
  for (let shift = 30; shift >= 0; shift--) {
    const limit = 2 ** 31 - 2 ** (shift - 1);
    // Most shifts are ruled out by the first factors: an average over a large window has many.
    let bound = 0;
    for (let i = 0; i < factors.length && bound < limit; i++) {
      const own = 255 * terms[i] * multiplierOf(factors[i], shift);
      bound = exclusive ? Math.max(bound, own) : bound + own;
    }
    if (bound < limit) {
      return { multipliers: Int32Array.from(factors, (factor) => multiplierOf(factor, shift)), shift };
    }
  }
  throw new ModelError(
    `the ratio of an input's scale to the output's is too large for exact int32 arithmetic (${factors.join(', ')}): check the scales of the quantized model`,
  );
}
