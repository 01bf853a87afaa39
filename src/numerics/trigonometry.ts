/**
 * Trigonometric and hyperbolic functions in float64 that give the same bits in every JavaScript engine, like those of elementary.ts:
 * only `+ − × ÷`, square roots and integers. Errors are below two units in the last place of the result (test/numerics/trigonometry.test.ts).
 *
 * Arguments are reduced by π/2 in exact integers (M. H. Payne and R. N. Hanek, *Radian Reduction for Trigonometric Functions*, SIGNUM
 * Newsletter 18, 1983). Polynomials are Taylor series, long enough that the terms left out are below 2⁻⁵⁸ of the result.
 */
import { exp, expm1, log1p } from './elementary.ts';

/** 2/π and π/2 as integers, times 2^1200 and 2^128. */
const TWO_OVER_PI = BigInt(
  '0x' +
    'a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea09d1921c' +
    'fe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b1ff897ffde05980f' +
    'ef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d08' +
    '56033046fc7b',
);
const HALF_PI = 0x1921fb54442d18469898cc51701b839a2n;

const PI_2 = 1.5707963267948966;

/** Terms of sin(r) = r + r³·(…) and cos(r) = 1 − r²/2 + r⁴·(…), in r². */
const SINE = [
  -1 / 6,
  1 / 120,
  -1 / 5040,
  1 / 362880,
  -1 / 39916800,
  1 / 6227020800,
  -1 / 1307674368000,
  1 / 355687428096000,
];
const COSINE = [
  1 / 24,
  -1 / 720,
  1 / 40320,
  -1 / 3628800,
  1 / 479001600,
  -1 / 87178291200,
  1 / 20922789888000,
  -1 / 6402373705728000,
];

/** atan(k/8) for k = 0 … 8. */
const ARC_TANGENTS = [
  0.0, 0.12435499454676144, 0.24497866312686414, 0.35877067027057225, 0.4636476090008061, 0.5585993153435624,
  0.6435011087932844, 0.7188299996216245, 0.7853981633974483,
];

/** `x` less the nearest multiple of π/2, in two parts, and which quarter that is, 0 to 3. */
function reduce(x: number): readonly [high: number, low: number, quarter: number] {
  if (Math.abs(x) <= Math.PI / 4) return [x, 0, 0];
  const [integer, exponent] = parts(Math.abs(x));
  // |x| · 2/π in units of 2⁻¹²⁸.
  const turns = (integer * TWO_OVER_PI) >> BigInt(1200 - 128 - exponent);
  const quarters = (turns + (1n << 127n)) >> 128n;
  const rest = ((turns - (quarters << 128n)) * HALF_PI) >> 128n;
  const high = Number(rest);
  const low = Number(rest - BigInt(high));
  const [sign, quarter] = x < 0 ? [-1, -quarters & 3n] : [1, quarters & 3n];
  const unit = sign * UNIT;
  return [high * unit, low * unit, Number(quarter)];
}

/** 2⁻¹²⁸ */
const UNIT = 1 / 340282366920938463463374607431768211456;

/** A positive number as an integer of 53 bits and the exponent of 2 that it is multiplied by. */
function parts(x: number): readonly [integer: bigint, exponent: number] {
  const bits = new BigUint64Array(Float64Array.of(x).buffer)[0];
  // x is above π/4, and so a normal number.
  return [(bits & 0xfffffffffffffn) | 0x10000000000000n, Number(bits >> 52n) - 1075];
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
}

function sineOf(high: number, low: number): number {
  const square = high * high;
  return high + (high * square * polynomial(SINE, square) + low * (1 - square / 2));
}

function cosineOf(high: number, low: number): number {
  const square = high * high;
  const half = square / 2;
  const rest = 1 - half;
  return rest + (1 - rest - half + (square * square * polynomial(COSINE, square) - high * low));
}

/** Sine (`shift` 0) or cosine (1). */
function wave(x: number, shift: number): number {
  if (!Number.isFinite(x)) return NaN;
  const [high, low, quarter] = reduce(x);
  const place = (quarter + shift) & 3;
  const value = place % 2 === 0 ? sineOf(high, low) : cosineOf(high, low);
  return place < 2 ? value : -value;
}

export function sin(x: number): number {
  return wave(x, 0);
}

export function cos(x: number): number {
  return wave(x, 1);
}

export function tan(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  const [high, low, quarter] = reduce(x);
  const [sine, cosine] = [sineOf(high, low), cosineOf(high, low)];
  return quarter % 2 === 0 ? sine / cosine : -cosine / sine;
}

export function atan(x: number): number {
  const size = Math.abs(x);
  if (Number.isNaN(x) || x === 0) return x;
  const value = size <= 1 ? arcOf(size, 1) : PI_2 - arcOf(1, size);
  return x < 0 ? -value : value;
}

/** atan(y / x) for 0 ≤ y ≤ x. */
function arcOf(y: number, x: number): number {
  if (!Number.isFinite(x)) return 0;
  const eighth = Math.round((8 * y) / x);
  // Relative to the nearest eighth: |t| is at most 1/16.
  const t = eighth === 0 ? y / x : (8 * y - eighth * x) / (8 * x + eighth * y);
  const square = t * t;
  return ARC_TANGENTS[eighth] + (t + t * square * polynomial(ARC_TANGENT, square));
}

const ARC_TANGENT = [-1 / 3, 1 / 5, -1 / 7, 1 / 9, -1 / 11, 1 / 13, -1 / 15];

export function asin(x: number): number {
  if (Math.abs(x) === 1) return x * PI_2;
  return atan(x / Math.sqrt((1 - x) * (1 + x)));
}

export function acos(x: number): number {
  if (x === -1) return Math.PI;
  return 2 * atan(Math.sqrt((1 - x) / (1 + x)));
}

export function sinh(x: number): number {
  const size = Math.abs(x);
  if (size > 709) return (x < 0 ? -1 : 1) * exp(size - 1) * (Math.E / 2);
  const less = expm1(size);
  const value = (less + less / (less + 1)) / 2;
  return x < 0 ? -value : value === 0 ? x : value;
}

export function cosh(x: number): number {
  const size = Math.abs(x);
  if (size > 709) return exp(size - 1) * (Math.E / 2);
  const power = exp(size);
  return power / 2 + 0.5 / power;
}

export function asinh(x: number): number {
  const size = Math.abs(x);
  if (size === Infinity || x === 0) return x;
  const value = log1p(size + (size * size) / (1 + Math.sqrt(size * size + 1)));
  return x < 0 ? -value : value;
}

export function acosh(x: number): number {
  const over = x - 1;
  return log1p(over + Math.sqrt(2 * over + over * over));
}

export function atanh(x: number): number {
  const size = Math.abs(x);
  const value = log1p((2 * size) / (1 - size)) / 2;
  return x < 0 ? -value : size === 0 ? x : value;
}
