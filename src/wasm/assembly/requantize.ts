/**
 * The requantize epilogue, in integers: `y = clamp(zeroPoint + rne(acc · multiplier · 2^−shift), lo, hi)`.
 *
 * Four channels ("a quad") at a time share a record of RECORD bytes (EPILOGUE_RECORD in src/ops/wasm-parameters.ts), which the host fills
 * (src/ops/conv2d/wasm-epilogue.ts).
 *
 * The host proves `uniform` from the weights: multipliers of one quad are brought to the largest shift among them. Where it cannot
 * (channels whose scales differ more than 2⁷-fold), lanes are taken one by one.
 */
import { RECORD_HI, RECORD_LO, RECORD_MULTIPLIER, RECORD_SHIFT, RECORD_UNIFORM } from './parameters';

/** Four accumulators to four int8 values in i32 lanes. */
// @ts-ignore: decorator
@inline
export function requantize(acc: v128, record: usize, zeroPoint: v128): v128 {
  const scaled = load<i32>(record, RECORD_UNIFORM) != 0 ? scaleUniform(acc, record) : scaleLanes(acc, record);
  const y = i32x4.add(scaled, zeroPoint);
  return i32x4.min_s(i32x4.max_s(y, v128.load(record, RECORD_LO)), v128.load(record, RECORD_HI));
}

/**
 * `rne(acc · multiplier · 2^−shift)`, in 64-bit lanes. |product| < 2⁶², so 2⁶² is added first: of what is then positive, the
 * logical shift (one instruction; the arithmetic one is five on x86) is a floor. Ties go to even by adding half − 1 + the
 * last bit kept.
 */
// @ts-ignore: decorator
@inline
function scaleUniform(acc: v128, record: usize): v128 {
  const multiplier = v128.load(record, RECORD_MULTIPLIER);
  const shift = load<i32>(record, RECORD_SHIFT);
  const bias = i64x2.splat(1 << 62);
  const half = i64x2.splat((<i64>1 << (<i64>shift - 1)) - 1);
  const one = i64x2.splat(1);
  const low = i64x2.add(i64x2.extmul_low_i32x4_s(acc, multiplier), bias);
  const high = i64x2.add(i64x2.extmul_high_i32x4_s(acc, multiplier), bias);
  const lowOdd = v128.and(i64x2.shr_u(low, shift), one);
  const highOdd = v128.and(i64x2.shr_u(high, shift), one);
  const lowRounded = i64x2.shr_u(i64x2.add(low, i64x2.add(half, lowOdd)), shift);
  const highRounded = i64x2.shr_u(i64x2.add(high, i64x2.add(half, highOdd)), shift);
  // The low words; what the 2⁶² left in them is taken off modulo 2³².
  const words = v128.shuffle<i32>(lowRounded, highRounded, 0, 2, 4, 6);
  return i32x4.sub(words, i32x4.splat(<i32>((<i64>1 << 62) >> <i64>shift)));
}

function scaleLanes(acc: v128, record: usize): v128 {
  let y = i32x4.splat(scaleLane(i32x4.extract_lane(acc, 0), record));
  y = i32x4.replace_lane(y, 1, scaleLane(i32x4.extract_lane(acc, 1), record + 4));
  y = i32x4.replace_lane(y, 2, scaleLane(i32x4.extract_lane(acc, 2), record + 8));
  return i32x4.replace_lane(y, 3, scaleLane(i32x4.extract_lane(acc, 3), record + 12));
}

/** One lane: the product has at most 55 bits. The result is clamped to ±2¹⁶, well outside int8 whatever the zero point. */
function scaleLane(acc: i32, record: usize): i32 {
  const product = <i64>acc * <i64>load<u32>(record, RECORD_MULTIPLIER);
  const shift = <i64>load<i32>(record, RECORD_SHIFT);
  let y = product;
  if (shift > 0) {
    const odd = (product >> shift) & 1;
    y = (product + (<i64>1 << (shift - 1)) - 1 + odd) >> shift;
  }
  return <i32>min<i64>(max<i64>(y, -65536), 65536);
}

/** `rne(sum · 2^−shift)` in i32 lanes, shift in 0…30. Lowering proves that |sum| + 2^(shift−1) fits. */
// @ts-ignore: decorator
@inline
export function roundShift(sum: v128, shift: i32): v128 {
  if (shift == 0) return sum;
  const odd = v128.and(i32x4.shr_s(sum, shift), i32x4.splat(1));
  return i32x4.shr_s(i32x4.add(sum, i32x4.add(i32x4.splat((1 << (shift - 1)) - 1), odd)), shift);
}

/** The last step of a rescale: `clamp(zeroPoint + rne(sum · 2^−shift), lo, hi)` in four lanes, as one word. */
// @ts-ignore: decorator
@inline
export function packRescaled(sum: v128, shift: i32, zeroPoint: v128, lo: v128, hi: v128): i32 {
  const q = i32x4.add(roundShift(sum, shift), zeroPoint);
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
