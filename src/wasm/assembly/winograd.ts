/**
 * 3×3 convolution, stride 1, by Winograd's minimal filtering F(m×m, 3×3), m = 2 or 4 (Lavin & Gray 2016): 36 instead of 144
 * products a 4×4 tile, or 16 instead of 36 a 2×2 tile. Exact in integers: the fractions of G are scaled away, row by row, and what
 * that multiplies the result by is divided out at the end, without remainder.
 *
 *   Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
 *
 *   m = 2   rows of G · 2:                   Y = 4 · acc
 *   m = 4   rows of G · (24, 24, 24, 24, 24, 8), the last row of A · 3:   Y = 576 · acc = 2⁶ · 9 · acc
 *
 * All sums wrap modulo 2³², harmlessly: 9 is odd, so multiplying by its inverse modulo 2³² leaves 2⁶ · acc, and a shift gives acc
 * wherever |acc| < 2²⁵ (m = 2: 2²⁹), which the host proves from the weights before it offers the kernel.
 *
 * int16 holds both factors. Weights (src/ops/conv2d/wasm-layouts.ts): m = 2: |·| ≤ 9 · 128; m = 4: 12² · 128. Input, by the sums of
 * magnitudes in Bᵀ's rows: m = 2: 2² · 128; m = 4: 10² · 128.
 *
 * Three calls, a barrier after each; `tile` is one tile of the batch, `chunk` the tiles of one round:
 *
 *   Input     x int16 padded image (pad.ts) → v [(m+2)²][chunk tiles][channels] int16
 *   Multiply  v, u [(m+2)²][panel of 8][channels / 2][8][2] int16 → p [(m+2)²][panel][tile quads][4 tiles][8] int32
 *   Output    p → y, with the epilogue of conv2d.ts
 */
import { multiplyRow, multiplyTile, storeQuad } from './conv2d';
import { MODE_POOL, RECORD, RECORD_BIAS, Winograd } from './parameters';
import { requantize4 } from './requantize';

/** A unit is 8 channels of one tile. */
export function winograd2Input(x: usize, v: usize, shape: Winograd, firstTile: i32, tiles: i32, scratch: usize, unitStart: i32, unitEnd: i32): void {
  const octets = shape.channels >> 3;
  const plane = <usize>(tiles * shape.channels) << 1;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const column = <usize>shape.pixelBytes;
    let from = tileAddress(x, shape, firstTile + unit / octets, 2) + (<usize>(unit % octets) << 4);
    // Columns of d to columns of Bᵀd in scratch[4][4], then its rows.
    for (let i: usize = 0; i < 4; i++, from += column) {
      inputTransform2(from, shape.rowBytes, scratch + (i << 4), 64);
    }
    let to = v + (<usize>unit << 4);
    for (let i: usize = 0; i < 4; i++, to += 4 * plane) inputTransform2(scratch + (i << 6), 16, to, plane);
  }
}

/** Bᵀ = [1 0 −1 0; 0 1 1 0; 0 −1 1 0; 0 1 0 −1]. */
// @ts-ignore: decorator
@inline
function inputTransform2(from: usize, stride: usize, to: usize, step: usize): void {
  const d0 = v128.load(from);
  const d1 = v128.load(from + stride);
  const d2 = v128.load(from + 2 * stride);
  const d3 = v128.load(from + 3 * stride);
  v128.store(to, i16x8.sub(d0, d2));
  v128.store(to + step, i16x8.add(d1, d2));
  v128.store(to + 2 * step, i16x8.sub(d2, d1));
  v128.store(to + 3 * step, i16x8.sub(d1, d3));
}

/** A unit is 8 channels of one tile. */
export function winograd4Input(x: usize, v: usize, shape: Winograd, firstTile: i32, tiles: i32, scratch: usize, unitStart: i32, unitEnd: i32): void {
  const octets = shape.channels >> 3;
  const plane = <usize>(tiles * shape.channels) << 1;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const column = <usize>shape.pixelBytes;
    let from = tileAddress(x, shape, firstTile + unit / octets, 4) + (<usize>(unit % octets) << 4);
    for (let i: usize = 0; i < 6; i++, from += column) {
      inputTransform4(from, shape.rowBytes, scratch + (i << 4), 96);
    }
    let to = v + (<usize>unit << 4);
    for (let i: usize = 0; i < 6; i++, to += 6 * plane) inputTransform4(scratch + i * 96, 16, to, plane);
  }
}

/** Bᵀ = [4 0 −5 0 1 0; 0 −4 −4 1 1 0; 0 4 −4 −1 1 0; 0 −2 −1 2 1 0; 0 2 −1 −2 1 0; 0 4 0 −5 0 1]. */
// @ts-ignore: decorator
@inline
function inputTransform4(from: usize, stride: usize, to: usize, step: usize): void {
  const d0 = v128.load(from);
  const d1 = v128.load(from + stride);
  const d2 = v128.load(from + 2 * stride);
  const d3 = v128.load(from + 3 * stride);
  const d4 = v128.load(from + 4 * stride);
  const d5 = v128.load(from + 5 * stride);
  const even = i16x8.sub(d4, i16x8.shl(d2, 2));
  const odd = i16x8.sub(d3, i16x8.shl(d1, 2));
  const evenStep = i16x8.sub(d4, d2);
  const oddStep = i16x8.shl(i16x8.sub(d3, d1), 1);
  v128.store(to, i16x8.add(i16x8.shl(i16x8.sub(d0, d2), 2), evenStep));
  v128.store(to + step, i16x8.add(even, odd));
  v128.store(to + 2 * step, i16x8.sub(even, odd));
  v128.store(to + 3 * step, i16x8.add(evenStep, oddStep));
  v128.store(to + 4 * step, i16x8.sub(evenStep, oddStep));
  v128.store(to + 5 * step, i16x8.add(i16x8.shl(i16x8.sub(d1, d3), 2), i16x8.sub(d5, d3)));
}

/** Address of the first element of a tile's window in the padded image. */
// @ts-ignore: decorator
@inline
function tileAddress(x: usize, shape: Winograd, tile: i32, size: i32): usize {
  const line = tile / shape.tilesWide;
  const image = line / shape.tilesHigh;
  return (
    x +
    <usize>(image * shape.imageBytes) +
    <usize>((line % shape.tilesHigh) * size * shape.rowBytes) +
    <usize>((tile % shape.tilesWide) * size * shape.pixelBytes)
  );
}

/**
 * One matrix product a place of the tile: [tiles × channels] · [channels × output channels]. A unit is one place and one panel.
 *
 * @param zero address of a zero word: the one segment's offset, in conv2d.ts's terms
 */
export function winogradMultiply(v: usize, u: usize, p: usize, zero: usize, shape: Winograd, tiles: i32, scratch: usize, unitStart: i32, unitEnd: i32): void {
  const rowBytes = <usize>shape.channels << 1;
  const panelBytes = rowBytes << 3;
  const quadsOfTiles = <usize>((tiles + 3) >> 2);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const rows = v + <usize>(unit / shape.panels) * <usize>tiles * rowBytes;
    const weights = u + <usize>unit * panelBytes;
    let acc = p + <usize>unit * (quadsOfTiles << 7);
    for (let tile = 0; tile < tiles; tile += 4, acc += 128) {
      for (let i = 0; i < 4; i++) {
        store<u32>(scratch + (<usize>i << 2), rows + <usize>min(tile + i, tiles - 1) * rowBytes);
      }
      if (tile + 1 == tiles) multiplyRow<i16, i16>(scratch, weights, 0, zero, shape, acc);
      else multiplyTile<i16, i16>(scratch, weights, 0, zero, shape, acc);
    }
  }
}

/** A unit is one quad of output channels of one tile. */
export function winograd2Output(p: usize, records: usize, y: usize, side: usize, shape: Winograd, firstTile: i32, tiles: i32, scratch: usize, unitStart: i32, unitEnd: i32): void {
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const tile = unit / shape.quads;
    const quad = unit % shape.quads;
    const plane = placeBytes(shape, tiles);
    let from = productAddress(p, shape, tile, quad, tiles);
    // Rows of the products to rows of PA in scratch[4][2], then its columns.
    for (let i: usize = 0; i < 4; i++, from += 4 * plane) outputTransform2(from, plane, scratch + (i << 5), 16);
    for (let i: usize = 0; i < 2; i++) outputTransform2(scratch + (i << 4), 32, scratch + 128 + (i << 4), 32);
    const record = records + <usize>(quad >> 1) * RECORD;
    const bias = v128.load(record + (<usize>(quad & 1) << 4), RECORD_BIAS);
    for (let at = scratch + 128; at < scratch + 192; at += 16) {
      v128.store(at, i32x4.add(i32x4.shr_s(v128.load(at), 2), bias));
    }
    storeBlock(scratch + 128, 2, firstTile + tile, quad, record, y, side, shape);
  }
}

/** Aᵀ = [1 1 1 0; 0 1 −1 −1]. */
// @ts-ignore: decorator
@inline
function outputTransform2(from: usize, stride: usize, to: usize, step: usize): void {
  const m1 = v128.load(from + stride);
  const m2 = v128.load(from + 2 * stride);
  v128.store(to, i32x4.add(i32x4.add(v128.load(from), m1), m2));
  v128.store(to + step, i32x4.sub(i32x4.sub(m1, m2), v128.load(from + 3 * stride)));
}

/** A unit is one quad of output channels of one tile. */
export function winograd4Output(p: usize, records: usize, y: usize, side: usize, shape: Winograd, firstTile: i32, tiles: i32, scratch: usize, unitStart: i32, unitEnd: i32): void {
  // 9 · 0x38e38e39 = 2³³ + 1
  const inverseOf9 = i32x4.splat(0x38e38e39);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const tile = unit / shape.quads;
    const quad = unit % shape.quads;
    const plane = placeBytes(shape, tiles);
    let from = productAddress(p, shape, tile, quad, tiles);
    // Rows of the products to rows of PA in scratch[6][4], then its columns.
    for (let i: usize = 0; i < 6; i++, from += 6 * plane) outputTransform4(from, plane, scratch + (i << 6), 16);
    for (let i: usize = 0; i < 4; i++) outputTransform4(scratch + (i << 4), 64, scratch + 384 + (i << 4), 64);
    const record = records + <usize>(quad >> 1) * RECORD;
    const bias = v128.load(record + (<usize>(quad & 1) << 4), RECORD_BIAS);
    for (let at = scratch + 384; at < scratch + 640; at += 16) {
      const acc = i32x4.shr_s(i32x4.mul(v128.load(at), inverseOf9), 6);
      v128.store(at, i32x4.add(acc, bias));
    }
    storeBlock(scratch + 384, 4, firstTile + tile, quad, record, y, side, shape);
  }
}

/** Aᵀ = [1 1 1 1 1 0; 0 1 −1 2 −2 0; 0 1 1 4 4 0; 0 1 −1 8 −8 3]. */
// @ts-ignore: decorator
@inline
function outputTransform4(from: usize, stride: usize, to: usize, step: usize): void {
  const m0 = v128.load(from);
  const m1 = v128.load(from + stride);
  const m2 = v128.load(from + 2 * stride);
  const m3 = v128.load(from + 3 * stride);
  const m4 = v128.load(from + 4 * stride);
  const m5 = v128.load(from + 5 * stride);
  const near = i32x4.add(m1, m2);
  const nearStep = i32x4.sub(m1, m2);
  const far = i32x4.add(m3, m4);
  const farStep = i32x4.sub(m3, m4);
  const last = i32x4.add(i32x4.shl(m5, 1), m5);
  v128.store(to, i32x4.add(i32x4.add(m0, near), far));
  v128.store(to + step, i32x4.add(nearStep, i32x4.shl(farStep, 1)));
  v128.store(to + 2 * step, i32x4.add(near, i32x4.shl(far, 2)));
  v128.store(to + 3 * step, i32x4.add(i32x4.add(nearStep, i32x4.shl(farStep, 3)), last));
}

/** Bytes of the products of one place. */
// @ts-ignore: decorator
@inline
function placeBytes(shape: Winograd, tiles: i32): usize {
  return <usize>(shape.panels * ((tiles + 3) >> 2)) << 7;
}

/** The products of one tile and quad of channels at the tile's first place. */
// @ts-ignore: decorator
@inline
function productAddress(p: usize, shape: Winograd, tile: i32, quad: i32, tiles: i32): usize {
  const block = (quad >> 1) * ((tiles + 3) >> 2) + (tile >> 2);
  return p + (<usize>block << 7) + (<usize>(tile & 3) << 5) + (<usize>(quad & 1) << 4);
}

/** Stores the accumulators acc[size][size] of one tile and quad, bias included; what lies beyond the output's edge is dropped. */
function storeBlock(acc: usize, size: i32, tile: i32, quad: i32, record: usize, y: usize, side: usize, shape: Winograd): void {
  const line = tile / shape.tilesWide;
  const image = line / shape.tilesHigh;
  const top = (line % shape.tilesHigh) * size;
  const left = (tile % shape.tilesWide) * size;
  const rowBytes = <usize>size << 4;
  const half = <usize>quad & 1;
  const channels = <usize>quad << 2;
  if (shape.mode == MODE_POOL) {
    const height = shape.height >> 1;
    const width = shape.width >> 1;
    for (let row = 0; row < size >> 1; row++) {
      for (let column = 0; column < size >> 1; column++) {
        const outRow = (top >> 1) + row;
        const outColumn = (left >> 1) + column;
        if (outRow >= height || outColumn >= width) continue;
        const from = acc + <usize>(2 * row) * rowBytes + (<usize>(2 * column) << 4);
        const above = i32x4.max_s(v128.load(from), v128.load(from, 16));
        const below = i32x4.max_s(v128.load(from + rowBytes), v128.load(from + rowBytes, 16));
        const at = (<usize>(((image * height + outRow) * width + outColumn) * shape.quads) << 2) + channels;
        const zeroPoint = i16x8.splat(<i16>shape.zeroPoint);
        v128.store32_lane(y + at, requantize4(i32x4.max_s(above, below), record, half, zeroPoint), 0);
      }
    }
    return;
  }
  const rows = min(size, shape.height - top);
  const columns = min(size, shape.width - left);
  for (let row = 0; row < rows; row++) {
    let at = (<usize>(((image * shape.height + top + row) * shape.width + left) * shape.quads) << 2) + channels;
    for (let column = 0; column < columns; column++, at += <usize>shape.quads << 2) {
      const value = v128.load(acc + <usize>row * rowBytes + (<usize>column << 4));
      storeQuad(value, record, half, at, y, side, shape);
    }
  }
}
