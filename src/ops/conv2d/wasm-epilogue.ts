/** The records of a convolution's epilogue (src/wasm/assembly/requantize.ts). */
import { requantize, roundHalfToEven } from '../../program/multiplier.ts';
import type { Conv2dOperation, ProgramTensor, Requantize } from '../../program/program.ts';
import { weightMagnitudes, type WeightBits, weightSums } from '../../program/weights.ts';
import { EPILOGUE_SCALINGS, RECORD_OFFSETS as AT, RECORD_WORDS } from '../wasm-parameters.ts';
import { scaledEpilogue } from './stored-bits.ts';
import { PANEL, type ConvolutionShape } from './wasm-shape.ts';

/**
 * The epilogue's records, one a panel of output channels.
 *
 * @param offset what the kernel's input is less by: its sums lack `offset · Σw`, which goes into the bias. Modulo 2³², as all sums
 * @param bits those of a stored weight
 */
export function packEpilogue(
  operation: Conv2dOperation,
  output: ProgramTensor,
  shape: ConvolutionShape,
  offset = 0,
  bits: WeightBits = 8,
): Int32Array {
  const { residual, weights } = operation;
  const { bias, requantize: target } = scaledEpilogue(operation, bits);
  const factor = 2 ** (8 - bits);
  const packed = new Int32Array(shape.panels * RECORD_WORDS);
  const sums = offset === 0 ? undefined : weightSums(weights);
  for (let panel = 0; panel < shape.panels; panel++) {
    const record = packed.subarray(panel * RECORD_WORDS, (panel + 1) * RECORD_WORDS);
    const first = panel * PANEL;
    const count = Math.min(PANEL, shape.outChannels - first);
    for (let lane = 0; lane < count; lane++) {
      record[AT.bias + lane] = bias[first + lane] + (sums ? factor * offset * sums[first + lane] : 0);
    }
    if (!target) continue;
    const bytes = new Int8Array(record.buffer, record.byteOffset, record.byteLength);
    const fill = (word: number, value: number) => {
      bytes.fill(value, 4 * word, 4 * word + count);
      bytes.fill(output.zeroPoint, 4 * word + count, 4 * word + PANEL);
    };
    fill(AT.lo, target.lo);
    fill(AT.hi, target.hi);
    fill(AT.residualLo, residual?.lo ?? output.zeroPoint);
    fill(AT.residualHi, residual?.hi ?? output.zeroPoint);
    const mantissas = target.mantissa.subarray(first, first + count);
    const shifts = target.shift.subarray(first, first + count);
    const multipliers = Float64Array.from(mantissas, (mantissa, lane) => mantissa * 2 ** -shifts[lane]);
    // Adding up magnitudes takes longer than all else here, and few layers need it.
    const loose = Array.from({ length: count }, () => (weights.zeroPoint ? 255 : 128) * weights.k);
    let bounds = boundsOf(loose, bias, first, factor);
    let scaling = provenScaling(bounds, multipliers);
    if (scaling !== 'exact') {
      const tight = weightMagnitudes(weights).subarray(first, first + count);
      bounds = boundsOf(tight, bias, first, factor);
      scaling = provenScaling(bounds, multipliers, (lane) =>
        roundsExactly(bounds[lane], mantissas[lane], shifts[lane], target),
      );
    }
    record[AT.scaling] = EPILOGUE_SCALINGS.indexOf(scaling);
    if (scaling === 'lanes') {
      record.set(mantissas, AT.multiplier);
      record.set(shifts, AT.multiplier + PANEL);
    } else {
      new Float64Array(record.buffer, record.byteOffset + 4 * AT.multiplier, PANEL).set(multipliers);
    }
  }
  return packed;
}

/**
 * How the accumulators of a panel may be scaled (src/wasm/assembly/requantize.ts): an accumulator below 2²⁹ times a float32, 24 bits, is
 * exact in f64; below 2³¹ − 256 it stays in int32, with the zero point added.
 *
 * @param bounds largest |acc| of each channel
 * @param isExact whether f64 does for a channel of larger accumulators, whose products it may have to round
 */
export function provenScaling(
  bounds: readonly number[],
  multipliers: Float64Array,
  isExact: (lane: number) => boolean = () => false,
): (typeof EPILOGUE_SCALINGS)[number] {
  if (!bounds.every((bound, lane) => bound < 2 ** 29 || isExact(lane))) return 'lanes';
  return bounds.every((bound, lane) => bound * multipliers[lane] < 2 ** 31 - 256) ? 'exact' : 'clamped';
}

/**
 * Whether an f64 product, rounded, and then rounded to the nearest integer, clamps to what the exact one does for every |acc| ≤ `bound`.
 * Channels that batch norm has all but switched off have biases of 2²⁹ and more, over a scale of weights that is next to nothing.
 *
 * Both are monotonic in the accumulator: they are the same everywhere if each int8 begins at the same one.
 */
export function roundsExactly(
  bound: number,
  mantissa: number,
  shift: number,
  { zeroPoint, lo, hi }: Pick<Requantize, 'zeroPoint' | 'lo' | 'hi'>,
): boolean {
  const exact = (acc: number) => requantize(acc, mantissa, shift, zeroPoint, lo, hi);
  const multiplier = mantissa * 2 ** -shift;
  const rounded = (acc: number) => Math.min(Math.max(zeroPoint + roundHalfToEven(acc * multiplier), lo), hi);
  if (rounded(-bound) !== exact(-bound) || rounded(bound) !== exact(bound)) return false;
  for (let q = exact(-bound) + 1; q <= exact(bound); q++) {
    let below = -bound;
    let first = bound;
    while (first - below > 1) {
      const middle = Math.floor((below + first) / 2);
      if (exact(middle) < q) below = middle;
      else first = middle;
    }
    if (rounded(below) >= q || rounded(first) < q) return false;
  }
  return true;
}

/**
 * The largest |acc| of output channels from `first` on: `Σ|factor · w| · 128 + |bias|`.
 *
 * @param magnitudes at least `Σ|w|` of each
 */
function boundsOf(magnitudes: ArrayLike<number>, bias: Int32Array, first: number, factor: number): number[] {
  return Array.from(magnitudes, (sum, lane) => factor * sum * 128 + Math.abs(bias[first + lane]));
}
