/**
 * Convolution by `i32x4.relaxed_dot_i8x16_i7x16_add_s`: four int8 products a lane, added to a sum, in one instruction. For engines
 * and operands where it is exact (src/wasm/relaxed.ts).
 *
 * x        int8, the padded image of pad.ts less an offset that brings it into the range the instruction wants; the host folds
 *          what that changes into the bias. It is the second operand (i7), the weights are the first (any int8).
 * w        int8 [panel][segment][k / 4][8 channels][4 k]
 *
 * All else is conv2d.ts's: the tile of 4 pixels × 8 channels, segments, records, epilogue.
 */
import { Convolution, storeTile, windowAddresses } from './conv2d';
import { RECORD } from './requantize';

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
  const panels = shape.panels;
  const rowsPerUnit = shape.tilesPerUnit << 2;
  const panelBytes = <usize>(shape.segments * shape.segmentLength * 8);
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
      if (count == 1) multiplyRow(addresses, w, offset, segmentOffsets, shape, acc);
      else multiplyTile(addresses, w, offset, segmentOffsets, shape, acc);
      storeTile(acc, record, panel, firstRow + row, count, y, side, shape);
    }
  }
}

// @ts-ignore: decorator
@inline
function dot(w: v128, x: v128, acc: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, acc);
}

function multiplyTile(
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
  const segmentsEnd = segmentOffsets + (<usize>shape.segments << 2);
  let a0 = i32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0;
  let w = weights;
  for (let segment = segmentOffsets; segment < segmentsEnd; segment += 4) {
    const start = <usize>load<u32>(segment);
    let p0 = x0 + start;
    let p1 = x1 + start;
    let p2 = x2 + start;
    let p3 = x3 + start;
    const end = p0 + <usize>shape.segmentLength;
    for (; p0 < end; ) {
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      let v = v128.load32_splat(p0);
      a0 = dot(w0, v, a0);
      a1 = dot(w1, v, a1);
      v = v128.load32_splat(p1);
      b0 = dot(w0, v, b0);
      b1 = dot(w1, v, b1);
      v = v128.load32_splat(p2);
      c0 = dot(w0, v, c0);
      c1 = dot(w1, v, c1);
      v = v128.load32_splat(p3);
      d0 = dot(w0, v, d0);
      d1 = dot(w1, v, d1);
      p0 += 4;
      p1 += 4;
      p2 += 4;
      p3 += 4;
      w += 32;
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

function multiplyRow(
  addresses: usize,
  weights: usize,
  offset: usize,
  segmentOffsets: usize,
  shape: Convolution,
  acc: usize,
): void {
  const x = <usize>load<u32>(addresses) + offset;
  const segmentsEnd = segmentOffsets + (<usize>shape.segments << 2);
  let a0 = i32x4.splat(0), a1 = a0;
  let w = weights;
  for (let segment = segmentOffsets; segment < segmentsEnd; segment += 4) {
    let p = x + <usize>load<u32>(segment);
    const end = p + <usize>shape.segmentLength;
    for (; p < end; p += 4, w += 32) {
      const v = v128.load32_splat(p);
      a0 = dot(v128.load(w), v, a0);
      a1 = dot(v128.load(w, 16), v, a1);
    }
  }
  v128.store(acc, a0, 0);
  v128.store(acc, a1, 16);
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
