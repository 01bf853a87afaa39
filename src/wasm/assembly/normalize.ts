/** Layer, instance and group normalization, in integers: the formula of NormalizeOperation (src/program/program.ts). */
import { Normalize } from './parameters';
import { load4, pack4 } from './requantize';

const BLOCK_CHANNELS = 64;
/** Squares of 8 bits of so many pixels fit 32. */
const PIXELS_OF_SUMS = 65536;

/**
 * Groups are the channels of single pixels, which are the units. `roots` is the caller's own memory for the three vectors of a group: its sum,
 * root and power of two.
 */
export function normalizePixels(
  x: usize,
  y: usize,
  roots: usize,
  gamma: usize,
  beta: usize,
  shape: Normalize,
  unitStart: i32,
  unitEnd: i32,
): void {
  const end = <usize>shape.channels;
  const offset = i32x4.splat(shape.offset);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const from = x + <usize>unit * end;
    let sums = i32x4.splat(0);
    let squares = i64x2.splat(0);
    for (let at: usize = 0; at < end; at += 4) {
      let u = i32x4.sub(load4(from + at), offset);
      if (at == end - 4) u = v128.and(u, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(shape.lastLanes)));
      sums = i32x4.add(sums, u);
      squares = i64x2.add(squares, i64x2.extend_low_i32x4_u(joined(i32x4.mul(u, u))));
    }
    const total = i64x2.extract_lane(squares, 0) + i64x2.extract_lane(squares, 1);
    sums = joined(sums);
    const sum = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1);
    const root = rootOf(shape.centred ? sum : 0, <u64>total, shape);
    v128.store(roots, i32x4.splat(shape.centred ? sum : 0));
    v128.store(roots, i32x4.splat(<i32>root), 16);
    v128.store(roots, i32x4.splat(<i32>(root >> 32)), 32);
    normalized(from, y + <usize>unit * end, roots, 16, 0, gamma, beta, shape);
  }
}

/** The sums of lanes two and two, in the lower two. */
// @ts-ignore: decorator
@inline
function joined(v: v128): v128 {
  return i32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
}

/**
 * S₁ and S₂ of each channel, in 64 bits. `partial` is the caller's own memory for twice BLOCK_CHANNELS words. A unit is a block of channels of
 * an image.
 */
export function sumChannels(
  x: usize,
  sums: usize,
  partial: usize,
  shape: Normalize,
  unitStart: i32,
  unitEnd: i32,
): void {
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const image = unit / shape.blocks;
    const first = (unit % shape.blocks) * BLOCK_CHANNELS;
    const channels = min(BLOCK_CHANNELS, shape.channels - first);
    const quads = channels >> 2;
    const to = sums + (<usize>(image * shape.channels + first) << 4);
    memory.fill(to, 0, <usize>channels << 4);
    for (let start = 0; start < shape.pixels; start += PIXELS_OF_SUMS) {
      const end = min(start + PIXELS_OF_SUMS, shape.pixels);
      memory.fill(partial, 0, <usize>channels << 3);
      for (let pixel = start; pixel < end; pixel++) {
        const from = x + <usize>(image * shape.pixels + pixel) * <usize>shape.channels + <usize>first;
        for (let q = 0; q < quads; q++) {
          const u = load4(from + (<usize>q << 2));
          const at = partial + (<usize>q << 5);
          v128.store(at, i32x4.add(v128.load(at), u));
          v128.store(at, i32x4.add(v128.load(at, 16), i32x4.mul(u, u)), 16);
        }
      }
      for (let c = 0; c < channels; c++) {
        const at = partial + (<usize>(c >> 2) << 5) + (<usize>(c & 3) << 2);
        const sum = to + (<usize>c << 4);
        store<i64>(sum, load<i64>(sum) + <i64>load<i32>(at));
        store<u64>(sum, load<u64>(sum, 8) + <u64>load<u32>(at, 16), 8);
      }
    }
  }
}

/** For each channel the sum, the root and the power of two of its group: three rows of words an image. A unit is a group. */
export function findRoots(
  sums: usize,
  roots: usize,
  shape: Normalize,
  unitStart: i32,
  unitEnd: i32,
): void {
  const row = <usize>shape.channels << 2;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const image = unit / shape.groups;
    const first = (unit % shape.groups) * shape.groupChannels;
    const from = sums + (<usize>(image * shape.channels + first) << 4);
    let sum: i64 = 0;
    let squares: u64 = 0;
    for (let c = 0; c < shape.groupChannels; c++) {
      sum += load<i64>(from + (<usize>c << 4));
      squares += load<u64>(from + (<usize>c << 4), 8);
    }
    const root = rootOf(<i32>sum, squares, shape);
    let to = roots + <usize>image * 3 * row + (<usize>first << 2);
    for (let c = 0; c < shape.groupChannels; c++) {
      store<i32>(to, <i32>sum);
      store<i32>(to + row, <i32>root);
      store<i32>(to + 2 * row, <i32>(root >> 32));
      to += 4;
    }
  }
}

/** A unit is a pixel. */
export function normalizeImages(
  x: usize,
  y: usize,
  roots: usize,
  gamma: usize,
  beta: usize,
  shape: Normalize,
  unitStart: i32,
  unitEnd: i32,
): void {
  const row = <usize>shape.channels << 2;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const own = roots + <usize>(unit / shape.pixels) * 3 * row;
    const at = <usize>unit * <usize>shape.channels;
    normalized(x + at, y + at, own, row, 16, gamma, beta, shape);
  }
}

/** One pixel. Sums, roots and powers lie `row` bytes apart, those of a quad of channels `step` bytes from the last. */
function normalized(
  from: usize,
  to: usize,
  roots: usize,
  row: usize,
  step: usize,
  gamma: usize,
  beta: usize,
  shape: Normalize,
): void {
  const low = i32x4.splat(0xffff);
  const offset = i32x4.splat(shape.offset);
  const count = i32x4.splat(shape.count);
  // Ties to even: a half less one, and one more where the integer below is odd.
  const half = i32x4.splat((1 << (shape.shift - 1)) - 1);
  const end = <usize>shape.channels;
  for (let at: usize = 0; at < end; at += 4) {
    const root = v128.load(roots + row);
    const difference = i32x4.sub(i32x4.mul(i32x4.sub(load4(from + at), offset), count), v128.load(roots));
    const d = i32x4.mul(i32x4.shr_s(difference, shape.droppedBits), v128.load(roots + 2 * row));
    const t = i32x4.add(
      i32x4.mul(i32x4.shr_s(d, 16), i32x4.shl(root, 1)),
      i32x4.shr_u(i32x4.add(i32x4.mul(v128.and(d, low), root), i32x4.splat(1 << 14)), 15),
    );
    const g = v128.load(gamma + (at << 2));
    const steps = i32x4.add(
      i32x4.mul(i32x4.shr_s(t, 16), g),
      i32x4.shr_s(i32x4.add(i32x4.mul(v128.and(t, low), g), i32x4.splat(1 << 15)), 16),
    );
    const value = i32x4.add(steps, v128.load(beta + (at << 2)));
    const odd = v128.and(i32x4.shr_s(value, shape.shift), i32x4.splat(1));
    const rounded = i32x4.shr_s(i32x4.add(i32x4.add(value, half), odd), shape.shift);
    const q = i32x4.add(rounded, i32x4.splat(shape.zeroPoint));
    store<i32>(to + at, pack4(i32x4.min_s(i32x4.max_s(q, i32x4.splat(shape.lo)), i32x4.splat(shape.hi))));
    roots += step;
  }
  for (let lane = shape.lastLanes; lane < 4; lane++) store<i8>(to + end + lane - 4, <i8>shape.zeroPoint);
}

/** In the low word the largest r below 2¹⁶ with r·(r − 1)·W < 2⁶⁰, in the high one the power of two of differences. */
function rootOf(sum: i32, squares: u64, shape: Normalize): u64 {
  const spread = <u64>shape.count * squares - <u64>(<i64>sum * <i64>sum);
  // V: at least 1, below 2⁶².
  const variance = max<u64>((spread << <u64>shape.varianceBits) + load<u64>(changetype<usize>(shape)), 1);
  const halvings = (64 - <i32>clz<u64>(variance) - 29) >> 1;
  const w = halvings >= 0 ? variance >> <u64>(2 * halvings) : variance << <u64>(-2 * halvings);
  let r: u64 = 0;
  for (let bit: u64 = 1 << 15; bit > 0; bit >>= 1) {
    const more = r + bit;
    if (more * (more - 1) * w < <u64>1 << 60) r = more;
  }
  return (<u64>(<u32>(1 << (shape.rootBits - halvings))) << 32) | r;
}
