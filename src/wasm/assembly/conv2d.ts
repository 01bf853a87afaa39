/**
 * Convolution and dense layers as implicit GEMM: acc[m, n] = Σ_k x[m, k] · w[n, k] by `i32x4.dot_i16x8_s`, two products a lane,
 * or by the relaxed dot, four (relaxed.ts says what differs).
 *
 * x        int16, the padded image of pad.ts; a window is `segments` runs of `segmentLength` elements, `segmentOffsets[s]` bytes from
 *          the window's first. (One run a kernel row: its columns are contiguous. With dilation or groups one a tap.)
 * w        packed by panels of 8 output channels: [panel][segment][k / 2][8 channels][2 k], int8 (convolve8), int16
 *          (convolve16: weights less their zero point) or of 4 bits (convolve4: two vectors of 16 int8 are fields of one; sums are 16 times as
 *          large, and the records made for that)
 * records  one a panel (requantize.ts)
 * y        int8 NHWC, or int32 accumulators
 *
 * A tile is 4 pixels × 8 channels: 8 accumulators, 2 vectors of weights and 1 of x, 11 of the 16 registers. The four pixels are
 * neighbours in the output, or, with a fused pool, the window of one pooled pixel: then the pool is the maximum over the tile's
 * rows. Dense layers at batch 1 take a tile of one row, which is bound by reading the weights.
 *
 * A unit is up to `tilesPerUnit` tiles times one panel; consecutive units share their pixels, whose addresses stay in
 * `scratch` (tilesPerUnit · 4 words).
 *
 * `pointwise` layers (1×1, stride 1, no padding, no groups) take x as the tensor lies: each thread brings the pixels of its tiles into the
 * form that the instruction wants itself, behind the addresses. Nothing else passes over the image, and what is copied is still in the cache.
 *
 * No |acc| leaves int32: lowering proves Σ|w| · 128 + |bias| < 2³¹.
 */
import {
  Convolution,
  MODE_INT32,
  MODE_PLAIN,
  MODE_POOL,
  MODE_RESIDUAL,
  RECORD,
  RECORD_BIAS,
  RECORD_MULTIPLIER,
  RECORD_RESIDUALHI,
  RECORD_RESIDUALLO,
  RECORD_SCALING,
  SCALING_EXACT,
} from './parameters';
import { clamp16, load4, powerOfHalf, requantize4, requantize8, requantizeExact8, rescale } from './requantize';
import { loadFields, loadWeights, roundBytes } from './weights';

export function convolve8(
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
  convolve<i8, i16>(x, weights, records, segmentOffsets, panelOffsets, y, side, shape, scratch, unitStart, unitEnd);
}

export function convolve16(
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
  convolve<i16, i16>(x, weights, records, segmentOffsets, panelOffsets, y, side, shape, scratch, unitStart, unitEnd);
}

export function convolve4(
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
  convolve<u8, i16>(x, weights, records, segmentOffsets, panelOffsets, y, side, shape, scratch, unitStart, unitEnd);
}

/**
 * @typeParam W how weights lie: int8, int16, or uint8, two fields of four bits a byte
 * @typeParam X how the image lies, and with it the instruction: int16 is multiplied by `i32x4.dot_i16x8_s`, two products a
 *   lane, int8 by `i32x4.relaxed_dot_i8x16_i7x16_add_s`, four (relaxed.ts)
 */
export function convolve<W, X>(
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
  const panels = shape.panels;
  const rowsPerUnit = shape.tilesPerUnit << 2;
  const panelBytes = <usize>(shape.segments * shape.segmentLength >> 2) * roundBytes<W>();
  const pixels = scratch + (<usize>rowsPerUnit << 2);
  let block = -1;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const panel = unit % panels;
    const firstRow = (unit / panels) * rowsPerUnit;
    const rows = min(rowsPerUnit, shape.rows - firstRow);
    if (unit / panels != block) {
      block = unit / panels;
      if (shape.pointwise) {
        copyRows<X>(x, shape, firstRow, rows, scratch, pixels);
      } else {
        windowAddresses(x, shape, firstRow, rows, scratch);
      }
    }
    const w = weights + <usize>panel * panelBytes;
    const offset = load<u32>(panelOffsets + (<usize>panel << 2));
    const record = records + <usize>panel * RECORD;
    for (let row = 0; row < rows; row += 4) {
      const addresses = scratch + (<usize>row << 2);
      const count = min(4, rows - row);
      if (count == 1) {
        convolveRow<W, X>(addresses, w, offset, segmentOffsets, shape, record, panel, firstRow + row, y, side);
      } else {
        convolveTile<W, X>(addresses, w, offset, segmentOffsets, shape, record, panel, firstRow + row, count, y, side);
      }
    }
  }
}

/** Addresses of the windows of `rows` rows of the GEMM from `firstRow`; the last one again up to a multiple of 4. */
function windowAddresses(
  x: usize,
  shape: Convolution,
  firstRow: i32,
  rows: i32,
  addresses: usize,
): void {
  const pooled = shape.mode == MODE_POOL;
  const height = pooled ? shape.height >> 1 : shape.height;
  const width = pooled ? shape.width >> 1 : shape.width;
  const pixel = pooled ? firstRow >> 2 : firstRow;
  let column = pixel % width;
  let outRow = (pixel / width) % height;
  let image = pixel / width / height;
  let address: usize = 0;
  for (let i = 0; i < ((rows + 3) & ~3); i++) {
    if (i < rows) {
      const x0 = pooled ? (column << 1) + (i & 1) : column;
      const y0 = pooled ? (outRow << 1) + ((i >> 1) & 1) : outRow;
      address = x + image * shape.imageBytes + y0 * shape.rowBytes + x0 * shape.pixelBytes;
      if ((!pooled || (i & 3) == 3) && ++column == width) {
        column = 0;
        if (++outRow == height) {
          outRow = 0;
          image++;
        }
      }
    }
    store<u32>(addresses + (<usize>i << 2), address);
  }
}

/** Copies `rows` pixels from `firstRow` on to `to`, int8 less an offset or widened to int16, and stores their addresses like `windowAddresses`. */
function copyRows<X>(
  x: usize,
  shape: Convolution,
  firstRow: i32,
  rows: i32,
  addresses: usize,
  to: usize,
): void {
  const elements = shape.segmentLength;
  for (let i = 0; i < ((rows + 3) & ~3); i++) {
    store<u32>(addresses + (<usize>i << 2), to + <usize>(min(i, rows - 1) * shape.pixelBytes));
  }
  const offset = i8x16.splat(<i8>shape.offset);
  let from = x + <usize>firstRow * <usize>elements;
  const end = from + <usize>(rows * elements);
  if (sizeof<X>() == 1) {
    for (; from + 16 <= end; from += 16, to += 16) v128.store(to, i8x16.sub(v128.load(from), offset));
    for (; from < end; from += 4, to += 4) v128.store32_lane(to, i8x16.sub(v128.load32_zero(from), offset), 0);
  } else {
    for (; from + 8 <= end; from += 8, to += 16) v128.store(to, v128.load_ext<i8>(from));
    if (from < end) v128.store64_lane(to, i16x8.extend_low_i8x16_s(v128.load32_zero(from)), 0);
  }
}

// @ts-ignore: decorator
@inline
export function multiplyAdd<X>(acc: v128, x: v128, w: v128): v128 {
  if (sizeof<X>() == 1) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(x, w));
}

/** acc[4][8] of one tile, stored. */
export function multiplyTile<W, X>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  acc: usize,
): void {
  tile<W, X, i32>(addresses, weights, offset, segmentOffsets, shape, acc, 0, 0, 0, 0, 0);
}

/** One tile through the epilogue: its sums never leave the registers. */
function convolveTile<W, X>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  record: usize,
  panel: i32,
  row: i32,
  count: i32,
  y: usize,
  side: usize,
): void {
  tile<W, X, i8>(addresses, weights, offset, segmentOffsets, shape, record, panel, row, count, y, side);
}

/**
 * A step is one word of x, four elements of int8 or two of int16: what it loads and the sums are as many vectors as there are registers. Fields
 * of weights are two words' in one vector.
 *
 * @typeParam E what becomes of the sums: int32 stores them at `target`, int8 sends them through the epilogue, with `target` the record
 */
// @ts-ignore: decorator
@inline
function tile<W, X, E>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  target: usize,
  panel: i32,
  row: i32,
  count: i32,
  y: usize,
  side: usize,
): void {
  const x0 = <usize>load<u32>(addresses) + offset;
  const x1 = <usize>load<u32>(addresses, 4) + offset;
  const x2 = <usize>load<u32>(addresses, 8) + offset;
  const x3 = <usize>load<u32>(addresses, 12) + offset;
  const segmentBytes = <usize>shape.segmentLength * sizeof<X>();
  const segmentsEnd = segmentOffsets + (<usize>shape.segments << 2);
  const twoWords = sizeof<X>() == 2 && !isSigned<W>();
  const step: usize = twoWords ? 8 : 4;
  const stepBytes = (roundBytes<W>() / (4 * sizeof<X>())) * step;
  let a0 = sizeof<E>() == 1 ? v128.load(target, RECORD_BIAS) : i32x4.splat(0);
  let a1 = sizeof<E>() == 1 ? v128.load(target, RECORD_BIAS + 16) : i32x4.splat(0);
  let b0 = a0, b1 = a1, c0 = a0, c1 = a1, d0 = a0, d1 = a1;
  let w = weights;
  for (let segment = segmentOffsets; segment < segmentsEnd; segment += 4) {
    const start = <usize>load<u32>(segment);
    let p0 = x0 + start;
    let p1 = x1 + start;
    let p2 = x2 + start;
    let p3 = x3 + start;
    const end = p0 + segmentBytes;
    for (; p0 < end; ) {
      const fields = loadFields<W>(w);
      let w0 = loadWeights<W, X>(w, fields, 0, 0);
      let w1 = loadWeights<W, X>(w, fields, 0, 1);
      let v = v128.load32_splat(p0);
      a0 = multiplyAdd<X>(a0, v, w0);
      a1 = multiplyAdd<X>(a1, v, w1);
      v = v128.load32_splat(p1);
      b0 = multiplyAdd<X>(b0, v, w0);
      b1 = multiplyAdd<X>(b1, v, w1);
      v = v128.load32_splat(p2);
      c0 = multiplyAdd<X>(c0, v, w0);
      c1 = multiplyAdd<X>(c1, v, w1);
      v = v128.load32_splat(p3);
      d0 = multiplyAdd<X>(d0, v, w0);
      d1 = multiplyAdd<X>(d1, v, w1);
      if (twoWords) {
        w0 = loadWeights<W, X>(w, fields, 1, 0);
        w1 = loadWeights<W, X>(w, fields, 1, 1);
        v = v128.load32_splat(p0, 4);
        a0 = multiplyAdd<X>(a0, v, w0);
        a1 = multiplyAdd<X>(a1, v, w1);
        v = v128.load32_splat(p1, 4);
        b0 = multiplyAdd<X>(b0, v, w0);
        b1 = multiplyAdd<X>(b1, v, w1);
        v = v128.load32_splat(p2, 4);
        c0 = multiplyAdd<X>(c0, v, w0);
        c1 = multiplyAdd<X>(c1, v, w1);
        v = v128.load32_splat(p3, 4);
        d0 = multiplyAdd<X>(d0, v, w0);
        d1 = multiplyAdd<X>(d1, v, w1);
      }
      p0 += step;
      p1 += step;
      p2 += step;
      p3 += step;
      w += stepBytes;
    }
  }
  if (sizeof<E>() == 1) {
    storeTile(a0, a1, b0, b1, c0, c1, d0, d1, target, panel, row, count, y, side, shape);
    return;
  }
  v128.store(target, a0, 0);
  v128.store(target, a1, 16);
  v128.store(target, b0, 32);
  v128.store(target, b1, 48);
  v128.store(target, c0, 64);
  v128.store(target, c1, 80);
  v128.store(target, d0, 96);
  v128.store(target, d1, 112);
}

/** acc[1][8], stored. */
export function multiplyRow<W, X>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  acc: usize,
): void {
  rowOf<W, X, i32>(addresses, weights, offset, segmentOffsets, shape, acc, 0, 0, 0, 0);
}

/** A tile of one row, of a layer that has no pool. */
function convolveRow<W, X>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  record: usize,
  panel: i32,
  row: i32,
  y: usize,
  side: usize,
): void {
  rowOf<W, X, i8>(addresses, weights, offset, segmentOffsets, shape, record, panel, row, y, side);
}

/** `tile` for one row: of int16 two sums a half, so that their latencies overlap. */
// @ts-ignore: decorator
@inline
function rowOf<W, X, E>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  target: usize,
  panel: i32,
  row: i32,
  y: usize,
  side: usize,
): void {
  const x = <usize>load<u32>(addresses) + offset;
  const segmentBytes = <usize>shape.segmentLength * sizeof<X>();
  const segmentsEnd = segmentOffsets + (<usize>shape.segments << 2);
  let a0 = sizeof<E>() == 1 ? v128.load(target, RECORD_BIAS) : i32x4.splat(0);
  let a1 = sizeof<E>() == 1 ? v128.load(target, RECORD_BIAS + 16) : i32x4.splat(0);
  let b0 = i32x4.splat(0), b1 = b0;
  let w = weights;
  for (let segment = segmentOffsets; segment < segmentsEnd; segment += 4) {
    let p = x + <usize>load<u32>(segment);
    const end = p + segmentBytes;
    for (; p < end; p += 4 * sizeof<X>(), w += roundBytes<W>()) {
      const fields = loadFields<W>(w);
      const even = v128.load32_splat(p);
      a0 = multiplyAdd<X>(a0, even, loadWeights<W, X>(w, fields, 0, 0));
      a1 = multiplyAdd<X>(a1, even, loadWeights<W, X>(w, fields, 0, 1));
      if (sizeof<X>() == 2) {
        const odd = v128.load32_splat(p, 4);
        b0 = multiplyAdd<X>(b0, odd, loadWeights<W, X>(w, fields, 1, 0));
        b1 = multiplyAdd<X>(b1, odd, loadWeights<W, X>(w, fields, 1, 1));
      }
    }
  }
  if (sizeof<X>() == 2) {
    a0 = i32x4.add(a0, b0);
    a1 = i32x4.add(a1, b1);
  }
  if (sizeof<E>() == 1) {
    const at = <usize>(row * shape.quads << 2) + (<usize>panel << 3);
    storePair(a0, a1, a0, a1, target, at, 0, shape.quads - 2 * panel >= 2, false, y, side, shape);
    return;
  }
  v128.store(target, a0, 0);
  v128.store(target, a1, 16);
}

/**
 * Epilogue of one tile, bias included: by `mode` requantize, the maximum of the four rows and requantize (a positive multiplier is
 * monotonic, so one requantization serves the pool's four values), requantize and add, or the accumulators as they are.
 *
 * @param a0 sums of row 0, channels 0–3, and so on
 * @param row of the GEMM, the tile's first
 * @param count rows that are stored, 2…4
 */
// @ts-ignore: decorator
@inline
function storeTile(
  a0: v128, a1: v128, b0: v128, b1: v128, c0: v128, c1: v128, d0: v128, d1: v128,
  record: usize,
  panel: i32,
  row: i32,
  count: i32,
  y: usize,
  side: usize,
  shape: Convolution,
): void {
  const whole = shape.quads - 2 * panel >= 2;
  const stride = <usize>shape.quads << 2;
  if (shape.mode == MODE_POOL) {
    const low = i32x4.max_s(i32x4.max_s(a0, b0), i32x4.max_s(c0, d0));
    const high = i32x4.max_s(i32x4.max_s(a1, b1), i32x4.max_s(c1, d1));
    storePooled(low, high, record, y + <usize>(row >> 2) * stride + (<usize>panel << 3), whole, shape);
    return;
  }
  const at = <usize>row * stride + (<usize>panel << 3);
  if (shape.mode == MODE_PLAIN && load<i32>(record, RECORD_SCALING) == SCALING_EXACT) {
    storeExactPair(a0, a1, b0, b1, record, y + at, stride, whole, true, shape);
    if (count > 2) {
      storeExactPair(c0, c1, d0, d1, record, y + at + 2 * stride, stride, whole, count > 3, shape);
    }
    return;
  }
  storePair(a0, a1, b0, b1, record, at, stride, whole, true, y, side, shape);
  if (count > 2) storePair(c0, c1, d0, d1, record, at + 2 * stride, stride, whole, count > 3, y, side, shape);
}

/** A pooled pixel. */
function storePooled(low: v128, high: v128, record: usize, to: usize, whole: bool, shape: Convolution): void {
  const zeroPoint = i16x8.splat(<i16>shape.zeroPoint);
  const halves = requantize8(low, high, record, load<i32>(record, RECORD_SCALING), zeroPoint);
  storePanel(to, clamp16(halves, halves, record), 0, whole);
}

/** Stores the eight channels, or the first four, of one of two rows. */
// @ts-ignore: decorator
@inline
function storePanel(to: usize, bytes: v128, row: u8, whole: bool): void {
  if (whole) {
    if (row == 0) v128.store64_lane(to, bytes, 0);
    else v128.store64_lane(to, bytes, 1);
  } else {
    if (row == 0) v128.store32_lane(to, bytes, 0);
    else v128.store32_lane(to, bytes, 2);
  }
}

/** `storePair` for MODE_PLAIN and SCALING_EXACT: of what it loads, callers' loops keep what they can in registers. */
// @ts-ignore: decorator
@inline
export function storeExactPair(
  low0: v128,
  high0: v128,
  low1: v128,
  high1: v128,
  record: usize,
  to: usize,
  stride: usize,
  whole: bool,
  both: bool,
  shape: Convolution,
): void {
  const m0 = v128.load(record, RECORD_MULTIPLIER);
  const m1 = v128.load(record, RECORD_MULTIPLIER + 16);
  const m2 = v128.load(record, RECORD_MULTIPLIER + 32);
  const m3 = v128.load(record, RECORD_MULTIPLIER + 48);
  const zeroPoint = i16x8.splat(<i16>shape.zeroPoint);
  const bytes = clamp16(
    requantizeExact8(low0, high0, m0, m1, m2, m3, zeroPoint),
    requantizeExact8(low1, high1, m0, m1, m2, m3, zeroPoint),
    record,
  );
  storePanel(to, bytes, 0, whole);
  if (both) storePanel(to + stride, bytes, 1, whole);
}

/**
 * Stores two pixels' accumulators of one panel, bias included.
 *
 * @param at element of the output
 * @param stride elements from the first pixel to the second
 * @param whole whether the output has all eight channels
 * @param both whether the second pixel is stored
 */
export function storePair(
  low0: v128,
  high0: v128,
  low1: v128,
  high1: v128,
  record: usize,
  at: usize,
  stride: usize,
  whole: bool,
  both: bool,
  y: usize,
  side: usize,
  shape: Convolution,
): void {
  if (shape.mode == MODE_INT32) {
    const to = y + (at << 2);
    v128.store(to, low0);
    if (whole) v128.store(to, high0, 16);
    if (!both) return;
    v128.store(to + (stride << 2), low1);
    if (whole) v128.store(to + (stride << 2), high1, 16);
    return;
  }
  const zeroPoint = i16x8.splat(<i16>shape.zeroPoint);
  const scaling = load<i32>(record, RECORD_SCALING);
  let bytes = clamp16(
    requantize8(low0, high0, record, scaling, zeroPoint),
    requantize8(low1, high1, record, scaling, zeroPoint),
    record,
  );
  if (shape.mode == MODE_RESIDUAL) {
    const next = both ? side + at + stride : side + at;
    const others = whole
      ? v128.load64_lane(next, v128.load64_zero(side + at), 1)
      : v128.load32_lane(next, v128.load32_zero(side + at), 2);
    const lo = v128.load64_splat(record, RECORD_RESIDUALLO);
    const hi = v128.load64_splat(record, RECORD_RESIDUALHI);
    const sums = i8x16.narrow_i16x8_s(
      addResidual(i16x8.extend_low_i8x16_s(bytes), i16x8.extend_low_i8x16_s(others), shape),
      addResidual(i16x8.extend_high_i8x16_s(bytes), i16x8.extend_high_i8x16_s(others), shape),
    );
    bytes = i8x16.min_s(i8x16.max_s(sums, lo), hi);
  }
  storePanel(y + at, bytes, 0, whole);
  if (both) storePanel(y + at + stride, bytes, 1, whole);
}

/** Eight sums of the residual addition in int16, the output's zero point added, not yet clamped. */
// @ts-ignore: decorator
@inline
function addResidual(own: v128, other: v128, shape: Convolution): v128 {
  const factor = powerOfHalf(shape.residualShift);
  const low = residualSum(i32x4.extend_low_i16x8_s(own), i32x4.extend_low_i16x8_s(other), shape);
  const high = residualSum(i32x4.extend_high_i16x8_s(own), i32x4.extend_high_i16x8_s(other), shape);
  const halves = i16x8.narrow_i32x4_s(rescale(low, factor), rescale(high, factor));
  return i16x8.add_sat_s(halves, i16x8.splat(<i16>shape.outputZeroPoint));
}

/** Exact in int32: lowering proves it. */
// @ts-ignore: decorator
@inline
function residualSum(own: v128, other: v128, shape: Convolution): v128 {
  const first = i32x4.mul(own, i32x4.splat(shape.residualMultiplier));
  const second = i32x4.mul(other, i32x4.splat(shape.sideMultiplier));
  return i32x4.add(i32x4.add(first, second), i32x4.splat(shape.residualBias));
}

/** Stores four accumulators of a panel, bias included, as element `at` of the output. */
export function storeQuad(
  acc: v128,
  record: usize,
  half: usize,
  at: usize,
  y: usize,
  side: usize,
  shape: Convolution,
): void {
  if (shape.mode == MODE_INT32) {
    v128.store(y + (at << 2), acc);
    return;
  }
  let bytes = requantize4(acc, record, half, i16x8.splat(<i16>shape.zeroPoint));
  if (shape.mode == MODE_RESIDUAL) {
    const own = i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes));
    const scaled = rescale(residualSum(own, load4(side + at), shape), powerOfHalf(shape.residualShift));
    const halves = i16x8.add_sat_s(
      i16x8.narrow_i32x4_s(scaled, scaled),
      i16x8.splat(<i16>shape.outputZeroPoint),
    );
    const lo = v128.load32_splat(record + half * 4, RECORD_RESIDUALLO);
    const hi = v128.load32_splat(record + half * 4, RECORD_RESIDUALHI);
    bytes = i8x16.min_s(i8x16.max_s(i8x16.narrow_i16x8_s(halves, halves), lo), hi);
  }
  v128.store32_lane(y + at, bytes, 0);
}
