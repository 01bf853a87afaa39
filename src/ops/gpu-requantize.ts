/** A requantization by one multiplier for all channels, as shaders/requantize.wgsl.ts reads it. */
import type { ScalarRequantize } from '../program/program.ts';
import { packBytes } from './gpu-dispatch.ts';

/** Beyond it |acc · m| saturates any int8: `requantizeWgsl` clips there, which bounds the product. */
const SATURATED = 2 ** 10;

/** One channel's `limit`, `mantissa` and shift for `requantizeWgsl`, the same function of acc as (mantissa, shift). */
export function packMultiplier(
  mantissa: number,
  shift: number,
): { readonly limit: number; readonly mantissa: number; readonly exponent: number } {
  // Shifts below 32 become left shifts of the clipped magnitude. That has room for 18 bits if the mantissa uses all of its 24.
  while (mantissa > 0 && mantissa < 2 ** 23 && shift < 32) {
    mantissa *= 2;
    shift += 1;
  }
  // A multiplier of 2⁹ or more saturates every accumulator but 0, however large it is; a mantissa of 0 is 0 at any shift.
  shift = Math.max(shift, mantissa === 0 ? 32 : 14);
  const limit = Math.min(2 ** 31 - 1, Math.floor((SATURATED * 2 ** shift) / mantissa));
  return { limit, mantissa, exponent: shift - 32 };
}

/** The arguments of `uniformRequantizer` in a shader's text. */
export function packedRequantizer({ mantissa, shift, zeroPoint, lo, hi }: ScalarRequantize): string {
  const packed = packMultiplier(mantissa, shift);
  const fields = packBytes(packed.exponent, zeroPoint, lo, hi) | 0;
  return `vec4<i32>(${packed.limit}), vec4<u32>(${packed.mantissa}u), vec4<i32>(bitcast<i32>(${fields >>> 0}u))`;
}
