import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js';

/**
 * Requantization of four channels at once, exactly: `clamp(z + rne(acc · m), lo, hi)` with `m = mantissa · 2^−shift`, a 24-bit
 * mantissa, a shift of 0…56, rounding to nearest, ties to even. WGSL has no 64-bit integers, so the product is made of 16-bit
 * halves; no float is rounded.
 *
 * Three things make it short:
 * - Rounding to nearest even is odd: it can be done on magnitudes.
 * - |acc| is clipped at a limit beyond which the result saturates anyway. The host chooses it so that |acc| · m stays below 2¹¹,
 *   which also makes room to bring small shifts up to 32 by scaling the clipped magnitude up instead.
 * - What is below the rounding bit matters only as "zero or not": 31 bits fold into one sticky bit.
 *
 * Operands, four channels to a vector, as `packEpilogue` (src/ops/conv2d/prepack.ts) makes them:
 *   limit     where |acc| is clipped
 *   mantissa  24-bit
 *   fields    bytes, low first: shift − 32 in −18…24; zero point; lo; hi
 * Kernels make a `Requantizer` of them once and use it for all pixels. There are few shifts by choice: software adapters do them lane by lane.
 */
export const requantizeWgsl = wgsl`
struct Requantizer {
  limit: vec4<u32>,
  leftFactor: vec4<u32>,
  mantissaLow: vec4<u32>,
  mantissaHigh: vec4<u32>,
  rightShift: vec4<u32>,
  half: vec4<u32>,
  zeroPoint: vec4<i32>,
  lo: vec4<i32>,
  hi: vec4<i32>,
}

fn requantizerOf(limit: vec4<u32>, mantissa: vec4<u32>, fields: vec4<i32>) -> Requantizer {
  let exponent = extractBits(fields, 0u, 8u);
  let rightShift = vec4<u32>(max(exponent, vec4<i32>(0))) + 2u;
  return Requantizer(
    limit,
    vec4<u32>(1u) << vec4<u32>(max(-exponent, vec4<i32>(0))),
    mantissa & vec4<u32>(0xffffu),
    mantissa >> vec4<u32>(16u),
    rightShift,
    vec4<u32>(1u) << (rightShift - 1u),
    extractBits(fields, 8u, 8u),
    extractBits(fields, 16u, 8u),
    extractBits(fields, 24u, 8u),
  );
}

fn requantize(acc: vec4<i32>, r: Requantizer) -> vec4<i32> {
  // product = p2 · 2³² + (p1 mod 2¹⁶) · 2¹⁶ + (p0 mod 2¹⁶); p1 < 2³² since magnitude ≤ 2³¹ and mantissa < 2²⁴.
  let magnitude = min(bitcast<vec4<u32>>(abs(acc)), r.limit) * r.leftFactor;
  let low = magnitude & vec4<u32>(0xffffu);
  let high = magnitude >> vec4<u32>(16u);
  let p0 = low * r.mantissaLow;
  let p1 = high * r.mantissaLow + low * r.mantissaHigh + (p0 >> vec4<u32>(16u));
  let p2 = high * r.mantissaHigh + (p1 >> vec4<u32>(16u));

  // Bit 31 of the product and "any lower bit set" go below p2 (< 2²⁴); rounding at bit rightShift of that is exact.
  let bit31 = min(p1 & vec4<u32>(0x8000u), vec4<u32>(1u));
  let sticky = min((p1 & vec4<u32>(0x7fffu)) | (p0 & vec4<u32>(0xffffu)), vec4<u32>(1u));
  let folded = p2 * 4u + bit31 * 2u + sticky;
  let down = folded >> r.rightShift;
  let rest = folded & (r.half * 2u - 1u);
  let up = (rest > r.half) | ((rest == r.half) & ((down & vec4<u32>(1u)) != vec4<u32>()));
  let rounded = bitcast<vec4<i32>>(select(down, down + 1u, up));
  return clamp(r.zeroPoint + select(rounded, -rounded, acc < vec4<i32>()), r.lo, r.hi);
}
`;
