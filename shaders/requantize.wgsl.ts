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
 * Operands, four channels to a vector, as `packEpilogue` (src/ops/conv2d/webgpu-epilogue.ts) makes them:
 *   limit     where |acc| is clipped
 *   mantissa  24-bit
 *   fields    bytes, low first: shift − 32 in −18…24; zero point; lo; hi
 * Kernels make a `Requantizer` of them once and use it for all pixels.
 *
 * @param shifts 'native', or 'converted' for software adapters, which shift lane by lane, a vector in eighty instructions: there what is
 *   shifted goes through f32, which holds every value in question exactly (at most 24 significant bits, times a power of two)
 */
export const requantizeWgsl = (shifts: 'native' | 'converted') => wgsl`
struct Requantizer {
  limit: vec4<i32>,
  leftFactor: vec4<u32>,
  mantissaLow: vec4<u32>,
  mantissaHigh: vec4<u32>,
#if ${shifts === 'native'}
  rightShift: vec4<u32>,
#else
  // 2^−rightShift
  scale: vec4<f32>,
#endif
  half: vec4<i32>,
  zeroPoint: vec4<i32>,
  lo: vec4<i32>,
  hi: vec4<i32>,
}

#if ${shifts === 'native'}
fn highHalf(v: vec4<u32>) -> vec4<u32> {
  return v >> vec4<u32>(16u);
}

fn requantizerOf(limit: vec4<i32>, mantissa: vec4<u32>, fields: vec4<i32>) -> Requantizer {
  let exponent = extractBits(fields, 0u, 8u);
  let rightShift = vec4<u32>(max(exponent, vec4<i32>(0))) + 2u;
  return Requantizer(
    limit,
    vec4<u32>(1u) << vec4<u32>(max(-exponent, vec4<i32>(0))),
    mantissa & vec4<u32>(0xffffu),
    highHalf(mantissa),
    rightShift,
    vec4<i32>(1) << (rightShift - 1u),
    extractBits(fields, 8u, 8u),
    extractBits(fields, 16u, 8u),
    extractBits(fields, 24u, 8u),
  );
}
#else
// As signed numbers multiples of 2¹⁶, whose quotients are kept modulo 2¹⁶.
fn highHalf(v: vec4<u32>) -> vec4<u32> {
  let high = vec4<f32>(bitcast<vec4<i32>>(v & vec4<u32>(0xffff0000u)));
  return bitcast<vec4<u32>>(high * 0x1p-16 + MAGIC) & vec4<u32>(0xffffu);
}

// 2^e, e from −126 to 127, by its exponent's bits.
fn powerOfTwo(e: vec4<i32>) -> vec4<f32> {
  return bitcast<vec4<f32>>((e + vec4<i32>(127)) * 0x800000);
}

// The four bytes of a word, low first. unpackScaled, integersOf and MAGIC are conv2d-layer.wgsl.ts's.
fn bytesOf(word: u32) -> vec4<i32> {
  return integersOf(unpackScaled(word) * 0x1p-24);
}

fn packBytes(bytes: vec4<i32>) -> u32 {
  return dot(bitcast<vec4<u32>>(bytes) & vec4<u32>(0xffu), vec4<u32>(1u, 0x100u, 0x10000u, 0x1000000u));
}

fn requantizerOf(limit: vec4<i32>, mantissa: vec4<u32>, fields: vec4<i32>) -> Requantizer {
  let words = bitcast<vec4<u32>>(fields);
  let a = bytesOf(words.x);
  let b = bytesOf(words.y);
  let c = bytesOf(words.z);
  let d = bytesOf(words.w);
  let exponent = vec4<i32>(a.x, b.x, c.x, d.x);
  let rightShift = max(exponent, vec4<i32>(0)) + 2;
  return Requantizer(
    limit,
    bitcast<vec4<u32>>(integersOf(powerOfTwo(max(-exponent, vec4<i32>(0))))),
    mantissa & vec4<u32>(0xffffu),
    highHalf(mantissa),
    powerOfTwo(-rightShift),
    vec4<i32>(powerOfTwo(rightShift - 1)),
    vec4<i32>(a.y, b.y, c.y, d.y),
    vec4<i32>(a.z, b.z, c.z, d.z),
    vec4<i32>(a.w, b.w, c.w, d.w),
  );
}
#endif

fn requantize(acc: vec4<i32>, r: Requantizer) -> vec4<i32> {
  // product = p2 · 2³² + (p1 mod 2¹⁶) · 2¹⁶ + (p0 mod 2¹⁶); p1 < 2³² since magnitude ≤ 2³¹ and mantissa < 2²⁴.
  let magnitude = bitcast<vec4<u32>>(min(abs(acc), r.limit)) * r.leftFactor;
  let low = magnitude & vec4<u32>(0xffffu);
  let high = highHalf(magnitude);
  let p0 = low * r.mantissaLow;
  let p1 = high * r.mantissaLow + low * r.mantissaHigh + highHalf(p0);
  let p2 = high * r.mantissaHigh + highHalf(p1);

  // Bit 31 of the product and "any lower bit set" go below p2 (< 2²⁴); rounding at bit rightShift of that is exact.
  // From here on all is below 2²⁶: signed comparisons, which software adapters need fewer instructions for, do.
  let one = vec4<i32>(1);
  let bit31 = min(bitcast<vec4<i32>>(p1 & vec4<u32>(0x8000u)), one);
  let below = (p1 & vec4<u32>(0x7fffu)) | (p0 & vec4<u32>(0xffffu));
  let sticky = min(bitcast<vec4<i32>>(below), one);
  let folded = bitcast<vec4<i32>>(p2) * 4 + bit31 * 2 + sticky;
  let rest = folded & (r.half * 2 - 1);
#if ${shifts === 'native'}
  let down = folded >> r.rightShift;
#else
  // A multiple of 2^rightShift below 2²⁶, rightShift ≥ 2: 24 significant bits, and a quotient below 2¹¹.
  let down = integersOf(vec4<f32>(folded - rest) * r.scale);
#endif
  let up = (rest > r.half) | ((rest == r.half) & ((down & one) != vec4<i32>()));
  let rounded = select(down, down + 1, up);
  return clamp(r.zeroPoint + select(rounded, -rounded, acc < vec4<i32>()), r.lo, r.hi);
}
`;
