/** The exponentials that softmax and its logarithm sum up. */
import { exp } from '../numerics/elementary.ts';
import { roundHalfToEven } from '../program/multiplier.ts';

/** Values of which the smallest exponentials still have 20 bits. */
export const MAX_EXPONENTIALS = 2048;

/** [256] `rne(2^(31 − ⌈log₂ length⌉) · e^(−scale · d))`: a sum of `length` of them is at most 2³¹. */
export function softmaxExponentials(scale: number, length: number): Uint32Array {
  const one = 2 ** exponentialBits(length);
  return Uint32Array.from({ length: 256 }, (_, d) => roundHalfToEven(one * exp(-scale * d)));
}

/** log₂ of the largest exponential. */
export function exponentialBits(length: number): number {
  return 31 - (32 - Math.clz32(length - 1));
}
