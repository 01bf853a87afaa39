/** Sums, maxima and minima over whole axes. */
import {
  FINISH_SELECT,
  FINISH_THRESHOLDS,
  REDUCE_MAX,
  REDUCE_MIN,
  REDUCE_SUMOFMAGNITUDES,
  REDUCE_SUMOFSQUARES,
  Reduce,
} from './parameters';
import { load4, pack4, requantizeUniformly } from './requantize';

const BLOCK_CHANNELS = 64;

/**
 * Folds rows × columns pixels of x into one of y, and with `across` their channels too; exact in int32, rounded once. `sums` is the
 * caller's own memory for BLOCK_CHANNELS accumulators. A unit is a block of channels of one pixel of y.
 */
export function reduce(
  x: usize,
  y: usize,
  thresholds: usize,
  sums: usize,
  shape: Reduce,
  unitStart: i32,
  unitEnd: i32,
): void {
  const channels = <usize>shape.channels;
  const isExtreme = shape.fold == REDUCE_MAX || shape.fold == REDUCE_MIN;
  const start = i32x4.splat(shape.fold == REDUCE_MAX ? -128 : shape.fold == REDUCE_MIN ? 127 : 0);
  const zero = i32x4.splat(isExtreme ? 0 : shape.inputZeroPoint);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const pixel = unit / shape.blocks;
    const first = (unit % shape.blocks) * BLOCK_CHANNELS;
    const quads = (shape.across ? shape.channels : min(BLOCK_CHANNELS, shape.channels - first)) >> 2;
    const column = pixel % shape.outWidth;
    const row = (pixel / shape.outWidth) % shape.outHeight;
    const image = pixel / (shape.outWidth * shape.outHeight);
    for (let q = 0; q < (shape.across ? 1 : quads); q++) v128.store(sums + (<usize>q << 4), start);
    for (let r = 0; r < shape.rows; r++) {
      const line = (image * shape.height + row + r) * shape.width + column;
      for (let c = 0; c < shape.columns; c++) {
        const from = x + <usize>(line + c) * channels + <usize>first;
        for (let q = 0; q < quads; q++) {
          let value = i32x4.sub(load4(from + (<usize>q << 2)), zero);
          // Padded lanes hold the zero point, which adds nothing to a sum.
          if (isExtreme && shape.across && q == quads - 1) {
            value = v128.bitselect(value, start, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(shape.lastLanes)));
          }
          const at = sums + (shape.across ? 0 : <usize>q << 4);
          v128.store(at, folded(v128.load(at), value, shape.fold));
        }
      }
    }
    if (shape.across) {
      // Lanes two and two, then those two.
      let acc = v128.load(sums);
      acc = joined(acc, v128.shuffle<i32>(acc, acc, 2, 3, 0, 1), shape.fold);
      acc = joined(acc, v128.shuffle<i32>(acc, acc, 1, 0, 3, 2), shape.fold);
      // One channel, and padding.
      store<i32>(y + (<usize>pixel << 2), (shape.zeroPoint & 0xff) * 0x1010101);
      store<i8>(y + (<usize>pixel << 2), <i8>i32x4.extract_lane(finished(acc, thresholds, shape), 0));
    } else {
      const to = y + <usize>pixel * channels + <usize>first;
      for (let q = 0; q < quads; q++) {
        store<i32>(to + (<usize>q << 2), pack4(finished(v128.load(sums + (<usize>q << 4)), thresholds, shape)));
      }
      if (first + (quads << 2) == shape.channels) {
        for (let lane = shape.lastLanes; lane < 4; lane++) {
          store<i8>(to + (<usize>quads << 2) + lane - 4, <i8>shape.zeroPoint);
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function folded(acc: v128, value: v128, fold: i32): v128 {
  if (fold == REDUCE_SUMOFMAGNITUDES) return i32x4.add(acc, i32x4.abs(value));
  if (fold == REDUCE_SUMOFSQUARES) return i32x4.add(acc, i32x4.mul(value, value));
  return joined(acc, value, fold);
}

// @ts-ignore: decorator
@inline
function joined(a: v128, b: v128, fold: i32): v128 {
  if (fold == REDUCE_MAX) return i32x4.max_s(a, b);
  if (fold == REDUCE_MIN) return i32x4.min_s(a, b);
  return i32x4.add(a, b);
}

/** Results in 32 bits. */
function finished(acc: v128, thresholds: usize, shape: Reduce): v128 {
  if (shape.finish == FINISH_SELECT) return acc;
  if (shape.finish != FINISH_THRESHOLDS) {
    return requantizeUniformly(acc, shape.mantissa, shape.shift, shape.zeroPoint, shape.lo, shape.hi);
  }
  let y = i32x4.splat(reached(i32x4.extract_lane(acc, 0), thresholds));
  y = i32x4.replace_lane(y, 1, reached(i32x4.extract_lane(acc, 1), thresholds));
  y = i32x4.replace_lane(y, 2, reached(i32x4.extract_lane(acc, 2), thresholds));
  y = i32x4.replace_lane(y, 3, reached(i32x4.extract_lane(acc, 3), thresholds));
  return i32x4.add(y, i32x4.splat(shape.lo));
}

/** How many of 255 ascending thresholds a sum has reached. */
function reached(acc: i32, thresholds: usize): i32 {
  let count = 0;
  for (let step = 128; step > 0; step >>= 1) {
    if (load<i32>(thresholds + (<usize>(count + step - 1) << 2)) <= acc) count += step;
  }
  return count;
}
