/**
 * Convolution and dense layers as implicit GEMM: acc[m, n] = Σ_k x[m, k] · w[n, k] by `i32x4.dot_i16x8_s`, two products a lane,
 * or by the relaxed dot, four (relaxed.ts says what differs).
 *
 * x        int16, the padded image of pad.ts; a window is `segments` runs of `segmentLength` elements, `segmentOffsets[s]` bytes from
 *          the window's first. (One run a kernel row: its columns are contiguous. With dilation or groups one a tap.)
 * w        packed by panels of 8 output channels: [panel][segment][k / 2][8 channels][2 k], int8 (convolve8) or int16
 *          (convolve16: weights less their zero point)
 * records  one a quad of output channels (requantize.ts)
 * y        int8 NHWC, or int32 accumulators
 *
 * A tile is 4 pixels × 8 channels: 8 accumulators, 2 vectors of weights and 1 of x, 11 of the 16 registers. The four pixels are
 * neighbours in the output, or, with a fused pool, the window of one pooled pixel: then the pool is the maximum over the tile's
 * rows. Dense layers at batch 1 take a tile of one row, which is bound by reading the weights.
 *
 * A unit is up to `tilesPerUnit` tiles times one panel; consecutive units share their pixels, whose addresses stay in
 * `scratch` (tilesPerUnit · 4 words; behind them the accumulators of one tile, 128 bytes).
 *
 * No |acc| leaves int32: lowering proves Σ|w| · 128 + |bias| < 2³¹.
 */
import {
  Convolution,
  MODE_INT32,
  MODE_POOL,
  MODE_RESIDUAL,
  RECORD,
  RECORD_BIAS,
  RECORD_RESIDUALHI,
  RECORD_RESIDUALLO,
} from './parameters';
import { load4, pack4, requantize, roundShift } from './requantize';
import { loadWeights } from './weights';

/** Bytes of the accumulators of one tile: 4 rows of 8 int32. */
const TILE_BYTES: usize = 128;

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

/**
 * @typeParam W how weights lie: int8, or int16
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
  const panelBytes = <usize>(shape.segments * shape.segmentLength * 8) * sizeof<W>();
  const acc = scratch + (<usize>rowsPerUnit << 2);
  let block = -1;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const panel = unit % panels;
    const firstRow = (unit / panels) * rowsPerUnit;
    const rows = min(rowsPerUnit, shape.rows - firstRow);
    if (unit / panels != block) {
      block = unit / panels;
      windowAddresses(x, shape, firstRow, rows, scratch);
    }
    const w = weights + <usize>panel * panelBytes;
    const offset = load<u32>(panelOffsets + (<usize>panel << 2));
    const record = records + <usize>panel * (2 * RECORD);
    for (let row = 0; row < rows; row += 4) {
      const addresses = scratch + (<usize>row << 2);
      const count = min(4, rows - row);
      if (count == 1) multiplyRow<W, X>(addresses, w, offset, segmentOffsets, shape, acc);
      else multiplyTile<W, X>(addresses, w, offset, segmentOffsets, shape, acc);
      storeTile(acc, record, panel, firstRow + row, count, y, side, shape);
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
  for (let i = 0; i < ((rows + 3) & ~3); i++) {
    const row = firstRow + min(i, rows - 1);
    const pixel = pooled ? row >> 2 : row;
    let column = pixel % width;
    const line = pixel / width;
    let outRow = line % height;
    const image = line / height;
    if (pooled) {
      column = (column << 1) + (row & 1);
      outRow = (outRow << 1) + ((row >> 1) & 1);
    }
    store<u32>(
      addresses + (<usize>i << 2),
      x + image * shape.imageBytes + outRow * shape.rowBytes + column * shape.pixelBytes,
    );
  }
}

// @ts-ignore: decorator
@inline
function multiplyAdd<X>(acc: v128, x: v128, w: v128): v128 {
  if (sizeof<X>() == 1) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
  return i32x4.add(acc, i32x4.dot_i16x8_s(x, w));
}

/** acc[4][8] of one tile. A round is four elements of x: one word of int8, two of int16. */
export function multiplyTile<W, X>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  acc: usize,
): void {
  const x0 = <usize>load<u32>(addresses) + offset;
  const x1 = <usize>load<u32>(addresses, 4) + offset;
  const x2 = <usize>load<u32>(addresses, 8) + offset;
  const x3 = <usize>load<u32>(addresses, 12) + offset;
  const segmentBytes = <usize>shape.segmentLength * sizeof<X>();
  const segmentsEnd = segmentOffsets + (<usize>shape.segments << 2);
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  let w = weights;
  for (let segment = segmentOffsets; segment < segmentsEnd; segment += 4) {
    const start = <usize>load<u32>(segment);
    let p0 = x0 + start;
    let p1 = x1 + start;
    let p2 = x2 + start;
    let p3 = x3 + start;
    const end = p0 + segmentBytes;
    for (; p0 < end; ) {
      let w0 = loadWeights<W, X>(w, 0, 0);
      let w1 = loadWeights<W, X>(w, 0, 1);
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
      if (sizeof<X>() == 2) {
        w0 = loadWeights<W, X>(w, 1, 0);
        w1 = loadWeights<W, X>(w, 1, 1);
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
      p0 += 4 * sizeof<X>();
      p1 += 4 * sizeof<X>();
      p2 += 4 * sizeof<X>();
      p3 += 4 * sizeof<X>();
      w += 32 * sizeof<W>();
    }
  }
  v128.store(acc, a0, 0);
  v128.store(acc, a1, 16);
  v128.store(acc, b0, 32);
  v128.store(acc, b1, 48);
  v128.store(acc, c0, 64);
  v128.store(acc, c1, 80);
  v128.store(acc, d0, 96);
  v128.store(acc, d1, 112);
}

/** acc[1][8]: of int16 two sums a half, so that their latencies overlap. */
export function multiplyRow<W, X>(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  acc: usize,
): void {
  const x = <usize>load<u32>(addresses) + offset;
  const segmentBytes = <usize>shape.segmentLength * sizeof<X>();
  const segmentsEnd = segmentOffsets + (<usize>shape.segments << 2);
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0;
  let w = weights;
  for (let segment = segmentOffsets; segment < segmentsEnd; segment += 4) {
    let p = x + <usize>load<u32>(segment);
    const end = p + segmentBytes;
    for (; p < end; p += 4 * sizeof<X>(), w += 32 * sizeof<W>()) {
      const even = v128.load32_splat(p);
      a0 = multiplyAdd<X>(a0, even, loadWeights<W, X>(w, 0, 0));
      a1 = multiplyAdd<X>(a1, even, loadWeights<W, X>(w, 0, 1));
      if (sizeof<X>() == 2) {
        const odd = v128.load32_splat(p, 4);
        b0 = multiplyAdd<X>(b0, odd, loadWeights<W, X>(w, 1, 0));
        b1 = multiplyAdd<X>(b1, odd, loadWeights<W, X>(w, 1, 1));
      }
    }
  }
  if (sizeof<X>() == 2) {
    a0 = i32x4.add(a0, b0);
    a1 = i32x4.add(a1, b1);
  }
  v128.store(acc, a0, 0);
  v128.store(acc, a1, 16);
}

/**
 * Epilogue of one tile: bias, then by `mode` requantize, the maximum of the four rows and requantize (a positive
 * multiplier is monotonic, so one requantization serves the pool's four values), requantize and add, or the accumulators as they are.
 *
 * @param acc [4][8] sums of products
 * @param record of the panel's first quad
 * @param row of the GEMM, the tile's first
 * @param count rows that are stored
 */
function storeTile(
  acc: usize,
  record: usize,
  panel: i32,
  row: i32,
  count: i32,
  y: usize,
  side: usize,
  shape: Convolution,
): void {
  const quads = min(2, shape.quads - 2 * panel);
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  for (let quad = 0; quad < quads; quad++, acc += 16, record += RECORD) {
    const bias = v128.load(record, RECORD_BIAS);
    const channels = <usize>(2 * panel + quad) << 2;
    if (shape.mode == MODE_POOL) {
      const above = i32x4.max_s(v128.load(acc), v128.load(acc, 32));
      const below = i32x4.max_s(v128.load(acc, 64), v128.load(acc, 96));
      const largest = i32x4.add(i32x4.max_s(above, below), bias);
      const to = y + <usize>((row >> 2) * shape.quads << 2) + channels;
      store<i32>(to, pack4(requantize(largest, record, zeroPoint)));
      continue;
    }
    let at = <usize>(row * shape.quads << 2) + channels;
    for (let i = 0; i < count; i++, at += <usize>shape.quads << 2) {
      storeQuad(i32x4.add(v128.load(acc + (<usize>i << 5)), bias), record, at, zeroPoint, y, side, shape);
    }
  }
}

/** Stores four accumulators, bias included, as element `at` of the output. */
// @ts-ignore: decorator
@inline
export function storeQuad(
  acc: v128,
  record: usize,
  at: usize,
  zeroPoint: v128,
  y: usize,
  side: usize,
  shape: Convolution,
): void {
  if (shape.mode == MODE_INT32) {
    v128.store(y + (at << 2), acc);
    return;
  }
  let q = requantize(acc, record, zeroPoint);
  if (shape.mode == MODE_RESIDUAL) {
    const own = i32x4.mul(
      i32x4.sub(q, i32x4.splat(shape.residualZeroPoint)),
      i32x4.splat(shape.residualMultiplier),
    );
    const other = i32x4.mul(
      i32x4.sub(load4(side + at), i32x4.splat(shape.sideZeroPoint)),
      i32x4.splat(shape.sideMultiplier),
    );
    q = i32x4.add(roundShift(i32x4.add(own, other), shape.residualShift), i32x4.splat(shape.outputZeroPoint));
    q = i32x4.min_s(i32x4.max_s(q, v128.load(record, RECORD_RESIDUALLO)), v128.load(record, RECORD_RESIDUALHI));
  }
  store<i32>(y + at, pack4(q));
}
