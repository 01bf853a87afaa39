import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/**
 * Requantization of one accumulator, exactly: `clamp(z + rne(acc · m), lo, hi)` with `m = mantissa · 2^−shift`, a 24-bit
 * mantissa, a shift of 0…56, rounding to nearest, ties to even. WGSL has no 64-bit integers, so the product is made of 16-bit
 * halves; no float is rounded.
 *
 * Three things make it short:
 * - Rounding to nearest even is odd: it can be done on magnitudes.
 * - |acc| is clipped at a limit beyond which the result saturates anyway. The host chooses it so that |acc| · m stays below 2¹¹,
 *   which also makes room to bring small shifts up to 32 by shifting the clipped magnitude to the left instead.
 * - What is below the rounding bit matters only as "zero or not": 31 bits fold into one sticky bit.
 *
 * Operands, as `packEpilogue` (src/ops/conv2d/prepack.ts) makes them:
 *   limit     where |acc| is clipped
 *   mantissa  24-bit
 *   fields    bytes, low first: shift − 32 in −18…24; zero point; lo; hi
 */
export const requantizeWgsl = wgsl`
fn requantize(acc: i32, limit: u32, mantissa: u32, fields: i32) -> i32 {
  let exponent = extractBits(fields, 0u, 8u);
  let leftShift = u32(max(-exponent, 0));
  let rightShift = u32(max(exponent, 0)) + 2u;

  // product = p2 · 2³² + (p1 mod 2¹⁶) · 2¹⁶ + (p0 mod 2¹⁶); p1 < 2³² since magnitude ≤ 2³¹ and mantissa < 2²⁴.
  let magnitude = min(u32(abs(acc)), limit) << leftShift;
  let low = magnitude & 0xffffu;
  let high = magnitude >> 16u;
  let mantissaLow = mantissa & 0xffffu;
  let mantissaHigh = mantissa >> 16u;
  let p0 = low * mantissaLow;
  let p1 = high * mantissaLow + low * mantissaHigh + (p0 >> 16u);
  let p2 = high * mantissaHigh + (p1 >> 16u);

  // Bit 31 of the product and "any lower bit set" go below p2 (< 2²⁴); rounding at bit rightShift of that is exact.
  let sticky = min((p1 & 0x7fffu) | (p0 & 0xffffu), 1u);
  let folded = (p2 << 2u) | ((p1 >> 14u) & 2u) | sticky;
  let odd = (folded >> rightShift) & 1u;
  let rounded = i32((folded + (1u << (rightShift - 1u)) - 1u + odd) >> rightShift);

  let zeroPoint = extractBits(fields, 8u, 8u);
  return clamp(zeroPoint + select(rounded, -rounded, acc < 0), extractBits(fields, 16u, 8u), fields >> 24u);
}
`;
