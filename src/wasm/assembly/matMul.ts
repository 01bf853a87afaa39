/** Products of two activations, a matrix at a time. */
import { MatMul } from './parameters';
import { pack4, requantizeUniformly } from './requantize';

/** Rows of `a` that share what is loaded of `b`. */
const ROWS = 4;

/**
 * `y[m, n] = requantize(Σ_k (a[m, k] − z_a) · (b[n, k] − z_b))`: both rows have the inner axis innermost. Padded lanes hold the zero points
 * and so add nothing. `rows` is the caller's own memory for ROWS rows of `a` in 16 bits, less z_a. A unit is ROWS rows of one matrix.
 */
export function matMul(
  a: usize,
  b: usize,
  y: usize,
  rows: usize,
  shape: MatMul,
  unitStart: i32,
  unitEnd: i32,
): void {
  const depth = <usize>shape.depth;
  const rowBytes = ((depth + 7) >> 3) << 4;
  const zero = i16x8.splat(<i16>shape.otherZeroPoint);
  const outBytes = <usize>shape.outWidth << (shape.requantized ? 0 : 2);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const matrix = unit / shape.blocks;
    const first = (unit % shape.blocks) * ROWS;
    const count = min(ROWS, shape.height - first);
    const line = matrix * shape.height + first;
    for (let r = 0; r < ROWS; r++) {
      // Rows beyond the last are computed once more and not stored.
      widen(a + <usize>(line + min(r, count - 1)) * depth, rows + <usize>r * rowBytes, depth, shape.inputZeroPoint);
    }
    const other = b + <usize>(matrix * shape.width) * depth;
    const to = y + <usize>line * outBytes;
    for (let n = 0; n < shape.outWidth; n += 4) {
      let acc0 = i32x4.splat(0);
      let acc1 = acc0;
      let acc2 = acc0;
      let acc3 = acc0;
      for (let lane = 0; lane < 4; lane++) {
        const column = n + lane;
        if (column >= shape.width) break;
        const from = other + <usize>column * depth;
        let sum0 = i32x4.splat(0);
        let sum1 = sum0;
        let sum2 = sum0;
        let sum3 = sum0;
        let k: usize = 0;
        for (; k + 8 <= depth; k += 8) {
          const w = i16x8.sub(v128.load8x8_s(from + k), zero);
          const at = rows + (k << 1);
          sum0 = i32x4.add(sum0, i32x4.dot_i16x8_s(v128.load(at), w));
          sum1 = i32x4.add(sum1, i32x4.dot_i16x8_s(v128.load(at + rowBytes), w));
          sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(v128.load(at + 2 * rowBytes), w));
          sum3 = i32x4.add(sum3, i32x4.dot_i16x8_s(v128.load(at + 3 * rowBytes), w));
        }
        if (k < depth) {
          // Four elements more; the rows' other lanes are 0.
          const w = i16x8.sub(i16x8.extend_low_i8x16_s(v128.load32_zero(from + k)), zero);
          const at = rows + (k << 1);
          sum0 = i32x4.add(sum0, i32x4.dot_i16x8_s(v128.load(at), w));
          sum1 = i32x4.add(sum1, i32x4.dot_i16x8_s(v128.load(at + rowBytes), w));
          sum2 = i32x4.add(sum2, i32x4.dot_i16x8_s(v128.load(at + 2 * rowBytes), w));
          sum3 = i32x4.add(sum3, i32x4.dot_i16x8_s(v128.load(at + 3 * rowBytes), w));
        }
        // Sums of the four rows in one vector, moved into the lane of this column.
        const totals = totalsOf(sum0, sum1, sum2, sum3);
        const mask = laneMask(lane);
        acc0 = v128.bitselect(v128.shuffle<i32>(totals, totals, 0, 0, 0, 0), acc0, mask);
        acc1 = v128.bitselect(v128.shuffle<i32>(totals, totals, 1, 1, 1, 1), acc1, mask);
        acc2 = v128.bitselect(v128.shuffle<i32>(totals, totals, 2, 2, 2, 2), acc2, mask);
        acc3 = v128.bitselect(v128.shuffle<i32>(totals, totals, 3, 3, 3, 3), acc3, mask);
      }
      storeQuad(to, n, acc0, shape);
      if (count > 1) storeQuad(to + outBytes, n, acc1, shape);
      if (count > 2) storeQuad(to + 2 * outBytes, n, acc2, shape);
      if (count > 3) storeQuad(to + 3 * outBytes, n, acc3, shape);
    }
  }
}

/** A row in 16 bits less the zero point, 0 up to whole vectors. */
// @ts-ignore: decorator
@inline
function widen(from: usize, to: usize, depth: usize, zeroPoint: i32): void {
  const zero = i16x8.splat(<i16>zeroPoint);
  let k: usize = 0;
  for (; k + 8 <= depth; k += 8) v128.store(to + (k << 1), i16x8.sub(v128.load8x8_s(from + k), zero));
  if (k < depth) {
    const values = i16x8.sub(i16x8.extend_low_i8x16_s(v128.load32_zero(from + k)), zero);
    v128.store(to + (k << 1), v128.shuffle<i64>(values, i64x2.splat(0), 0, 2));
  }
}

/** The sum of the lanes of each. */
// @ts-ignore: decorator
@inline
function totalsOf(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 2, 6), v128.shuffle<i32>(a, b, 1, 5, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 2, 6), v128.shuffle<i32>(c, d, 1, 5, 3, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

/** All ones in one lane. */
// @ts-ignore: decorator
@inline
function laneMask(lane: i32): v128 {
  return i32x4.eq(i32x4.splat(lane), i32x4(0, 1, 2, 3));
}

/** Columns n … n + 3 of a row; lanes beyond the last column hold the zero point. */
function storeQuad(row: usize, n: i32, acc: v128, shape: MatMul): void {
  if (!shape.requantized) {
    v128.store(row + (<usize>n << 2), acc);
    return;
  }
  const at = row + <usize>n;
  store<i32>(at, pack4(requantizeUniformly(acc, shape.mantissa, shape.shift, shape.zeroPoint, shape.lo, shape.hi)));
  for (let lane = shape.width - n; lane < 4; lane++) store<i8>(at + lane, <i8>shape.zeroPoint);
}
