/**
 * Convolution by `i32x4.relaxed_dot_i8x16_i7x16_add_s`: four int8 products a lane, added to a sum, in one instruction. For engines
 * and operands where it is exact (src/wasm/relaxed.ts).
 *
 * x        int8, the padded image of pad.ts less an offset that brings it into the range the instruction wants; the host folds
 *          what that changes into the bias. It is the second operand (i7), the weights are the first (any int8).
 * w        int8 [panel][segment][k / 4][8 channels][4 k]
 *
 * All else is conv2d.ts's, the loops included: the tile of 4 pixels × 8 channels, segments, records, epilogue.
 */
import { convolve } from './conv2d';
import { depthwise } from './depthwise';
import { Convolution, Depthwise } from './parameters';

export function convolveRelaxed(
  x: usize,
  weights: usize,
  records: usize,
  segmentOffsets: usize,
  panelOffsets: usize,
  y: usize,
  side: usize,
  shape: Convolution,
  scratch: usize,
  unitStart: i32,
  unitEnd: i32,
): void {
  convolve<i8, i8>(x, weights, records, segmentOffsets, panelOffsets, y, side, shape, scratch, unitStart, unitEnd);
}

/** On weights of 4 bits, as `convolve4`. */
export function convolveRelaxed4(
  x: usize,
  weights: usize,
  records: usize,
  segmentOffsets: usize,
  panelOffsets: usize,
  y: usize,
  side: usize,
  shape: Convolution,
  scratch: usize,
  unitStart: i32,
  unitEnd: i32,
): void {
  convolve<u8, i8>(x, weights, records, segmentOffsets, panelOffsets, y, side, shape, scratch, unitStart, unitEnd);
}

export function depthwiseRelaxed(
  x: usize,
  weights: usize,
  records: usize,
  taps: usize,
  y: usize,
  side: usize,
  shape: Depthwise,
  scratch: usize,
  unitStart: i32,
  unitEnd: i32,
): void {
  depthwise<i8>(x, weights, records, taps, y, side, shape, scratch, unitStart, unitEnd);
}

// @ts-ignore: decorator
@inline
function dot(w: v128, x: v128, acc: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
}

/** The instruction alone, for the self-test: 16 bytes each of w and x, then the four sums. */
export function probeRelaxedDot(address: usize): void {
  v128.store(address, dot(v128.load(address), v128.load(address, 16), v128.load(address, 32)), 32);
}

/** Registers only (peak.ts). 12 · 16 multiply-adds a round. */
export function peakRelaxedDot(rounds: i32): i32 {
  const x = i8x16.splat(<i8>rounds & 1);
  let a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
  for (let round = 0; round < rounds; round++) {
    a = dot(a, x, a);
    b = dot(b, x, b);
    c = dot(c, x, c);
    d = dot(d, x, d);
    e = dot(e, x, e);
    f = dot(f, x, f);
    g = dot(g, x, g);
    h = dot(h, x, h);
    i = dot(i, x, i);
    j = dot(j, x, j);
    k = dot(k, x, k);
    l = dot(l, x, l);
  }
  const sum = i32x4.add(
    i32x4.add(i32x4.add(i32x4.add(a, b), i32x4.add(c, d)), i32x4.add(i32x4.add(e, f), i32x4.add(g, h))),
    i32x4.add(i32x4.add(i, j), i32x4.add(k, l)),
  );
  return i32x4.extract_lane(sum, 0);
}
