/**
 * Quantizers: how real numbers become integers of N bits and back. The equation is always
 * `real = scale · (q − zeroPoint)` (docs/quantization.md).
 */
import * as v from 'valibot';
import { byteArray, check, finite, fn, index as indexSchema, integer, numbers } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { roundHalfToEven } from '../program/multiplier.ts';
import { roundReal } from '../program/pointwise.ts';

/** `affine` places the zero point anywhere in the integer range, `symmetric` at 0. */
export type Scheme = 'affine' | 'symmetric';

/** A closed interval of real numbers. */
export interface RealRange {
  readonly min: number;
  readonly max: number;
}

/** An affine quantizer of one tensor (or one channel of it). */
export interface QuantizationParameters {
  /** A positive normal float32. */
  readonly scale: number;
  /** An integer within `qmin`…`qmax`. */
  readonly zeroPoint: number;
  /** Smallest and largest integer in use: within −128…127, narrower below 8 bits, wider for 16. */
  readonly qmin: number;
  readonly qmax: number;
}

/** Smallest normal float32. Scales below it would be flushed to zero by some hardware. */
export const SMALLEST_SCALE = 2 ** -126;

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * Integers that `bits` bits give: −2^(N−1)…2^(N−1)−1 for `affine`, the lowest left out for `symmetric` so that the range is
 * the same on both sides of zero.
 *
 * @throws {InputError} where `bits` is not a whole number from 2 to 8, or 16
 */
export function integerRange(bits: number, scheme: Scheme): { readonly qmin: number; readonly qmax: number } {
  if (bits !== 16 && (!Number.isInteger(bits) || bits < 2 || bits > 8)) {
    throw new InputError(`bits must be a whole number from 2 to 8, or 16, got ${bits}`);
  }
  const qmax = 2 ** (bits - 1) - 1;
  return { qmin: scheme === 'symmetric' ? -qmax : -qmax - 1, qmax };
}

/**
 * The quantizer of `bits` bits that covers `range`. The range is first widened to contain 0, and 0 is represented exactly:
 * padding, ReLU's bound and absent values must cost no error. A range of no width gives scale 1.
 *
 * @throws {InputError} where the range is not finite or is reversed
 */
export function chooseParameters(range: RealRange, bits: number, scheme: Scheme): QuantizationParameters {
  if (!(Number.isFinite(range.min) && Number.isFinite(range.max) && range.min <= range.max)) {
    throw new InputError(`a quantization range must be finite and ordered, got ${range.min} to ${range.max}`);
  }
  const { qmin, qmax } = integerRange(bits, scheme);
  const min = Math.min(range.min, 0);
  const max = Math.max(range.max, 0);
  if (min === max) return { scale: 1, zeroPoint: 0, qmin, qmax };
  if (scheme === 'symmetric') return { scale: toScale(Math.max(-min, max) / qmax), zeroPoint: 0, qmin, qmax };
  const scale = toScale((max - min) / (qmax - qmin));
  const zeroPoint = Math.min(Math.max(roundHalfToEven(qmin - min / scale), qmin), qmax);
  return { scale, zeroPoint, qmin, qmax };
}

/** Rounds a positive number to a normal float32, which is what ONNX stores. */
export function toScale(real: number): number {
  return Math.fround(Math.min(Math.max(real, SMALLEST_SCALE), LARGEST_FLOAT32));
}

/**
 * `clamp(rint(x / scale) + zeroPoint, qmin, qmax)`, the quotient a float32 and ties to even: ONNX's QuantizeLinear, narrowed to N
 * bits.
 */
export function quantizeValue(x: number, { scale, zeroPoint, qmin, qmax }: QuantizationParameters): number {
  return Math.min(Math.max(roundReal(x, scale, zeroPoint), qmin), qmax);
}

/** `scale · (q − zeroPoint)`, as a float32: ONNX's DequantizeLinear. */
export function dequantizeValue(q: number, { scale, zeroPoint }: QuantizationParameters): number {
  return Math.fround((q - zeroPoint) * scale);
}

/** The real interval whose values a quantizer represents without clipping more than half a step. */
export function representedRange(parameters: QuantizationParameters): RealRange {
  return {
    min: dequantizeValue(parameters.qmin, parameters),
    max: dequantizeValue(parameters.qmax, parameters),
  };
}

/**
 * The uniform quantizer of signal processing: [min, max) is cut into 2^bits cells of equal width, and every value of a cell
 * is represented by its middle (Gersho & Gray 1992, section 5.2). Zero need not be representable, which is why networks use the
 * affine quantizer above instead.
 */
export interface UniformQuantizer {
  readonly min: number;
  readonly max: number;
  /** Number of cells, 2^bits. */
  readonly levels: number;
  /** Width of a cell, (max − min) / levels. */
  readonly step: number;
  /** Cell of `x`, 0…levels − 1; values outside the range fall into the first or the last. */
  index(x: number): number;
  /** Middle of a cell. */
  value(index: number): number;
}

const notNaN = v.number('a number, not NaN');

/**
 * @param bits 1…16
 * @throws {InputError} where the range is empty or not finite, or `bits` out of range
 */
export function uniformQuantizer(min: number, max: number, bits: number): UniformQuantizer {
  check('uniformQuantizer', { min: finite, max: finite, bits: integer(1, 16) }, { min, max, bits });
  if (!(min < max && Number.isFinite(max - min))) {
    throw new InputError(`a uniform quantizer needs a finite range with min < max, got ${min} to ${max}`);
  }
  const levels = 2 ** bits;
  const step = (max - min) / levels;
  return {
    min,
    max,
    levels,
    step,
    index(x) {
      check('quantizer.index', { x: notNaN }, { x });
      return Math.min(Math.max(Math.floor((x - min) / step), 0), levels - 1);
    },
    value(index) {
      check('quantizer.value', { index: indexSchema }, { index });
      return min + (index + 0.5) * step;
    },
  };
}

const quantizerSchema = v.object({ index: fn, value: fn }, 'a UniformQuantizer');

/** Each element of `data` replaced by the value of its cell, rounded to float32. */
export function quantizeUniformly(data: ArrayLike<number>, quantizer: UniformQuantizer): Float32Array {
  check('quantizeUniformly', { data: numbers, quantizer: quantizerSchema }, { data, quantizer });
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = quantizer.value(quantizer.index(data[i]));
  return result;
}

/**
 * A picture with `bits` bits a channel: each channel through the uniform quantizer of [0, 256], whose cells are 2^(8−bits) pixel values
 * wide. 8 bits give the picture back.
 *
 * @param pixels uint8, any interleaving (all channels have one range); an alpha channel is quantized like the others
 * @param bits 1…8
 */
export function quantizeImage(pixels: Uint8Array | Uint8ClampedArray, bits: number): Uint8Array {
  check('quantizeImage', { pixels: byteArray, bits: integer(1, 8) }, { pixels, bits });
  const quantizer = uniformQuantizer(0, 256, bits);
  // The middle of a one-pixel cell is p + ½: rounding down keeps 8 bits the identity.
  const table = Uint8Array.from({ length: 256 }, (_, p) => Math.floor(quantizer.value(quantizer.index(p))));
  return Uint8Array.from(pixels, (p) => table[p]);
}
