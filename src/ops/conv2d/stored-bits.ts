/**
 * Weights of few bits on a device. A signed field f of N bits, moved to the top of its byte, is `2^(8 − N) · f` as int8: one shift and one mask make
 * an operand of the packed dot product. Accumulators are larger by that power of two, so what is added to them must be, and the multiplier that
 * requantizes them smaller; the bytes that come out are the same.
 */
import type { Conv2dOperation } from '../../program/program.ts';
import { weightMagnitudes, type WeightBits } from '../../program/weights.ts';
import { MAX_SHIFT } from '../../program/multiplier.ts';

const known = new WeakMap<Conv2dOperation, WeightBits>();

/** Bits that kernels may store the layer's weights in; 8 where larger accumulators could overflow, or are the layer's result. */
export function storedBits(operation: Conv2dOperation): WeightBits {
  let bits = known.get(operation);
  if (bits === undefined) {
    bits = fits(operation, operation.weights.bits) ? operation.weights.bits : 8;
    known.set(operation, bits);
  }
  return bits;
}

function fits({ weights, bias, requantize }: Conv2dOperation, bits: WeightBits): boolean {
  if (bits === 8 || !requantize || weights.zeroPoint) return false;
  const factor = 2 ** (8 - bits);
  return (
    requantize.shift.every((shift) => shift + 8 - bits <= MAX_SHIFT) &&
    weightMagnitudes(weights).every((sum, o) => factor * (sum * 128 + Math.abs(bias[o])) < 2 ** 31)
  );
}

/** The bias and the multipliers that accumulators over weights of so many stored bits want. */
export function scaledEpilogue(
  { bias, requantize }: Conv2dOperation,
  bits: WeightBits,
): Pick<Conv2dOperation, 'bias' | 'requantize'> {
  if (bits === 8) return { bias, requantize };
  return {
    bias: bias.map((value) => value * 2 ** (8 - bits)),
    requantize: requantize && { ...requantize, shift: requantize.shift.map((shift) => shift + 8 - bits) },
  };
}
