/**
 * The requantize epilogue: `y = clamp(zeroPoint + rne(acc · multiplier), lo, hi)`, and the rescales of sums, by f64, whose arithmetic is the
 * same to the bit everywhere. A product that is exact, plus 1.5 · 2⁵², is in [2⁵², 2⁵³), where f64 has integers only: the addition
 * rounds to nearest, ties to even, and the low word of the result is the rounded product modulo 2³².
 *
 * Eight channels ("a panel") share a record of RECORD bytes (EPILOGUE_RECORD in src/ops/wasm-parameters.ts), which the host fills
 * (src/ops/conv2d/wasm-epilogue.ts). It proves for each panel which of these the `scaling` is:
 *
 *   SCALING_EXACT    |acc| < 2²⁹, so that 29 + 24 bits are an exact product (or the host has compared where each int8 begins, and
 *                    rounding the product changes none), and |acc| · multiplier < 2³¹ − 256
 *   SCALING_CLAMPED  the first only: products are clamped, well outside int8
 *   SCALING_LANES    neither: 64-bit integers, lane by lane
 */
import {
  RECORD_HI,
  RECORD_LO,
  RECORD_MULTIPLIER,
  RECORD_SCALING,
  SCALING_EXACT,
  SCALING_LANES,
} from './parameters';

/** 1.5 · 2⁵². */
const ROUND: f64 = 6755399441055744;
/** Outside int8 whatever is added to it, and inside int32. */
const FAR: f64 = 65536;

/** The rounded products of four accumulators, channels 0–3 (half 0) or 4–7 (half 1) of a panel. */
// @ts-ignore: decorator
@inline
function scale(acc: v128, record: usize, half: usize, scaling: i32): v128 {
  if (scaling != SCALING_EXACT) return scaleOther(acc, record, half, scaling);
  return round(lowProducts(acc, record, half), highProducts(acc, record, half));
}

// @ts-ignore: decorator
@inline
function lowProducts(acc: v128, record: usize, half: usize): v128 {
  return f64x2.mul(f64x2.convert_low_i32x4_s(acc), v128.load(record + half * 32, RECORD_MULTIPLIER));
}

// @ts-ignore: decorator
@inline
function highProducts(acc: v128, record: usize, half: usize): v128 {
  const high = v128.shuffle<i64>(acc, acc, 1, 1);
  return f64x2.mul(f64x2.convert_low_i32x4_s(high), v128.load(record + half * 32, RECORD_MULTIPLIER + 16));
}

/** Apart, since it is rare. */
function scaleOther(acc: v128, record: usize, half: usize, scaling: i32): v128 {
  if (scaling == SCALING_LANES) return scaleLanes(acc, record + half * 16);
  const far = f64x2.splat(FAR);
  const low = f64x2.pmin(f64x2.pmax(lowProducts(acc, record, half), f64x2.neg(far)), far);
  const high = f64x2.pmin(f64x2.pmax(highProducts(acc, record, half), f64x2.neg(far)), far);
  return round(low, high);
}

/** Four f64 of magnitude below 2³¹ − 256 to the nearest integers. */
// @ts-ignore: decorator
@inline
function round(low: v128, high: v128): v128 {
  const magic = f64x2.splat(ROUND);
  return v128.shuffle<i32>(f64x2.add(low, magic), f64x2.add(high, magic), 0, 2, 4, 6);
}

/** Mantissas lie where the first four multipliers do, shifts where the last do. */
function scaleLanes(acc: v128, record: usize): v128 {
  let y = i32x4.splat(scaleLane(i32x4.extract_lane(acc, 0), record));
  y = i32x4.replace_lane(y, 1, scaleLane(i32x4.extract_lane(acc, 1), record + 4));
  y = i32x4.replace_lane(y, 2, scaleLane(i32x4.extract_lane(acc, 2), record + 8));
  return i32x4.replace_lane(y, 3, scaleLane(i32x4.extract_lane(acc, 3), record + 12));
}

/** One lane: the product has at most 55 bits. The result is clamped to ±2¹⁶, well outside int8 whatever the zero point. */
function scaleLane(acc: i32, record: usize): i32 {
  const product = <i64>acc * <i64>load<u32>(record, RECORD_MULTIPLIER);
  const shift = <i64>load<i32>(record, RECORD_MULTIPLIER + 32);
  let y = product;
  if (shift > 0) {
    const odd = (product >> shift) & 1;
    y = (product + (<i64>1 << (shift - 1)) - 1 + odd) >> shift;
  }
  return <i32>min<i64>(max<i64>(y, -65536), 65536);
}

/** Eight accumulators to int16: scaled, the zero point added, not yet clamped to [lo, hi]. Saturation is beyond int8, and so harmless. */
// @ts-ignore: decorator
@inline
export function requantize8(low: v128, high: v128, record: usize, scaling: i32, zeroPoint: v128): v128 {
  const halves = i16x8.narrow_i32x4_s(scale(low, record, 0, scaling), scale(high, record, 1, scaling));
  return i16x8.add_sat_s(halves, zeroPoint);
}

/** `requantize8` for `SCALING_EXACT`, with what the record holds in registers: multipliers of channels 0–1, 2–3, 4–5, 6–7. */
// @ts-ignore: decorator
@inline
export function requantizeExact8(low: v128, high: v128, m0: v128, m1: v128, m2: v128, m3: v128, zeroPoint: v128): v128 {
  const first = round(
    f64x2.mul(f64x2.convert_low_i32x4_s(low), m0),
    f64x2.mul(f64x2.convert_low_i32x4_s(v128.shuffle<i64>(low, low, 1, 1)), m1),
  );
  const second = round(
    f64x2.mul(f64x2.convert_low_i32x4_s(high), m2),
    f64x2.mul(f64x2.convert_low_i32x4_s(v128.shuffle<i64>(high, high, 1, 1)), m3),
  );
  return i16x8.add_sat_s(i16x8.narrow_i32x4_s(first, second), zeroPoint);
}

/** Two times eight values of one panel, from `requantize8`, to int8. */
// @ts-ignore: decorator
@inline
export function clamp16(first: v128, second: v128, record: usize): v128 {
  const lo = v128.load64_splat(record, RECORD_LO);
  const hi = v128.load64_splat(record, RECORD_HI);
  return i8x16.min_s(i8x16.max_s(i8x16.narrow_i16x8_s(first, second), lo), hi);
}

/** Four accumulators of a panel to int8, in the first four bytes. */
// @ts-ignore: decorator
@inline
export function requantize4(acc: v128, record: usize, half: usize, zeroPoint: v128): v128 {
  const scaled = scale(acc, record, half, load<i32>(record, RECORD_SCALING));
  const halves = i16x8.add_sat_s(i16x8.narrow_i32x4_s(scaled, scaled), zeroPoint);
  const lo = v128.load32_splat(record + half * 4, RECORD_LO);
  const hi = v128.load32_splat(record + half * 4, RECORD_HI);
  return i8x16.min_s(i8x16.max_s(i8x16.narrow_i16x8_s(halves, halves), lo), hi);
}

/** `2^−shift` in both lanes, shift in 0…30: what `rescale` takes. */
// @ts-ignore: decorator
@inline
export function powerOfHalf(shift: i32): v128 {
  return i64x2.splat(<i64>(1023 - shift) << 52);
}

/** `rne(sum · 2^−shift)` in i32 lanes: any int32 times a power of two is exact. */
// @ts-ignore: decorator
@inline
export function rescale(sum: v128, factor: v128): v128 {
  const high = v128.shuffle<i64>(sum, sum, 1, 1);
  return round(
    f64x2.mul(f64x2.convert_low_i32x4_s(sum), factor),
    f64x2.mul(f64x2.convert_low_i32x4_s(high), factor),
  );
}

/** The last step of a rescale: `clamp(zeroPoint + rne(sum · 2^−shift), lo, hi)` in four lanes, as one word. */
// @ts-ignore: decorator
@inline
export function packRescaled(sum: v128, factor: v128, zeroPoint: v128, lo: v128, hi: v128): i32 {
  const q = i32x4.add(rescale(sum, factor), zeroPoint);
  return pack4(i32x4.min_s(i32x4.max_s(q, lo), hi));
}

/** Four int8 bytes, sign-extended to i32 lanes. */
// @ts-ignore: decorator
@inline
export function load4(address: usize): v128 {
  return i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(address)));
}

/** Four i32 lanes that hold int8 values, to one word. */
// @ts-ignore: decorator
@inline
export function pack4(y: v128): i32 {
  const halves = i16x8.narrow_i32x4_s(y, y);
  return i32x4.extract_lane(i8x16.narrow_i16x8_s(halves, halves), 0);
}

/** `clamp(zeroPoint + rne(acc · mantissa · 2^−shift), lo, hi)` in four lanes, by one multiplier for all channels. */
export function requantizeUniformly(acc: v128, mantissa: i32, shift: i32, zeroPoint: i32, lo: i32, hi: i32): v128 {
  let y = i32x4.splat(scaleBy(i32x4.extract_lane(acc, 0), mantissa, shift));
  y = i32x4.replace_lane(y, 1, scaleBy(i32x4.extract_lane(acc, 1), mantissa, shift));
  y = i32x4.replace_lane(y, 2, scaleBy(i32x4.extract_lane(acc, 2), mantissa, shift));
  y = i32x4.replace_lane(y, 3, scaleBy(i32x4.extract_lane(acc, 3), mantissa, shift));
  y = i32x4.add(y, i32x4.splat(zeroPoint));
  return i32x4.min_s(i32x4.max_s(y, i32x4.splat(lo)), i32x4.splat(hi));
}

/** The product has at most 55 bits. The result is clamped to ±2¹⁶, well outside int8 whatever the zero point. */
// @ts-ignore: decorator
@inline
function scaleBy(acc: i32, mantissa: i32, shift: i32): i32 {
  const product = <i64>acc * <i64>mantissa;
  let y = product;
  if (shift > 0) {
    const odd = (product >> <i64>shift) & 1;
    y = (product + (<i64>1 << (<i64>shift - 1)) - 1 + odd) >> <i64>shift;
  }
  return <i32>min<i64>(max<i64>(y, -65536), 65536);
}
