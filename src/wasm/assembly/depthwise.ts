/**
 * Depthwise convolution: each channel with its own kernel (groups = channels, one output a channel). Rows of the image are interleaved first, so
 * that a lane of the dot instruction holds rows one below the other, and a vector four channels: `i32x4.dot_i16x8_s` adds
 * two rows' products, the relaxed dot four.
 *
 * x        int8 NHWC, as the tensor lies
 * w        [phase][octet of channels][taps][8 channels][rows]: a tap is one group of rows and one column. Phase 1 is for windows that begin
 *          a row after their first group: its kernel begins one row further down. Rows beyond the kernel are 0
 * taps     bytes of each tap from the window's first group
 * records  one a panel of 8 channels (requantize.ts)
 * scratch  [groups][frameWidth][blockChannels][rows of a group]: two as int16, or four as int8 less an offset. Group g holds the rows from
 *          `g · step` on, `dilation` apart
 *
 * A unit is a band of output rows and a block of channels: few enough for its interleaved rows to stay in the cache, so that
 * they are written and read without a barrier between. Four neighbours in a row of the output share the weights: 8 accumulators, 2 vectors of
 * weights, 1 of x. `shape.segments` counts taps; imageBytes and pixelBytes are of x, rowBytes is of a group.
 */
import { multiplyAdd, storeExactPair, storePair } from './conv2d';
import { Depthwise, MODE_PLAIN, RECORD, RECORD_BIAS, RECORD_SCALING, SCALING_EXACT } from './parameters';

export function depthwise16(
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
  depthwise<i16>(x, weights, records, taps, y, side, shape, scratch, unitStart, unitEnd);
}

/** @typeParam X int16 or int8, as in conv2d.ts */
export function depthwise<X>(
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
  const blockChannels = shape.blockChannels;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const band = unit / shape.blocks;
    const firstChannel = (unit % shape.blocks) * blockChannels;
    const channels = min(blockChannels, (shape.quads << 2) - firstChannel);
    const image = band / shape.bands;
    const firstRow = (band % shape.bands) * shape.bandRows;
    const lastRow = min(firstRow + shape.bandRows, shape.height) - 1;
    const firstGroup = (firstRow * shape.strideHeight) / shape.step;
    const lastGroup = (lastRow * shape.strideHeight) / shape.step + shape.groupsBelow;
    const from = x + image * shape.imageBytes + firstChannel;
    for (let group = firstGroup, to = scratch; group <= lastGroup; group++, to += shape.rowBytes) {
      interleave<X>(from, to, group * shape.step - shape.top, channels, shape);
    }
    for (let row = firstRow; row <= lastRow; row++) {
      const top = row * shape.strideHeight;
      const groups = scratch + (top / shape.step - firstGroup) * shape.rowBytes;
      const at = <usize>((image * shape.height + row) * shape.width * shape.quads) << 2;
      convolveRow<X>(groups, weights, top % shape.step, records, taps, y, side, at, firstChannel, channels, shape);
    }
  }
}

/** One row of the output, `channels` of its channels. @param at element of its first pixel's first channel */
function convolveRow<X>(
  groups: usize,
  weights: usize,
  phase: usize,
  records: usize,
  taps: usize,
  y: usize,
  side: usize,
  at: usize,
  firstChannel: usize,
  channels: i32,
  shape: Depthwise,
): void {
  const tapsEnd = taps + (<usize>shape.segments << 2);
  const stride = <usize>shape.quads << 2;
  const step = <usize>(shape.strideWidth * shape.blockChannels) << 2;
  const octetBytes = <usize>shape.segments << 5;
  const firstWeights = weights + (phase * <usize>shape.panels + (firstChannel >> 3)) * octetBytes;
  const firstRecord = records + (firstChannel >> 3) * RECORD;
  const plain = shape.mode == MODE_PLAIN;
  at += firstChannel;
  for (let column = 0; column < shape.width; column += 4, groups += step << 2, at += stride << 2) {
    const count = min(4, shape.width - column);
    // Beyond the row the last column is computed again.
    const second = count > 1 ? step : 0;
    const third = count > 2 ? second + step : second;
    const fourth = count > 3 ? third + step : third;
    let w = firstWeights;
    let record = firstRecord;
    let to = at;
    for (let channel = 0; channel < channels; channel += 8, to += 8, record += RECORD) {
      const low = v128.load(record, RECORD_BIAS);
      const high = v128.load(record, RECORD_BIAS + 16);
      let a0 = low, a1 = high, b0 = low, b1 = high, c0 = low, c1 = high, d0 = low, d1 = high;
      const window = groups + (<usize>channel << 2);
      for (let tap = taps; tap < tapsEnd; tap += 4, w += 32) {
        const from = window + <usize>load<u32>(tap);
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        a0 = multiplyAdd<X>(a0, v128.load(from), w0);
        a1 = multiplyAdd<X>(a1, v128.load(from, 16), w1);
        b0 = multiplyAdd<X>(b0, v128.load(from + second), w0);
        b1 = multiplyAdd<X>(b1, v128.load(from + second, 16), w1);
        c0 = multiplyAdd<X>(c0, v128.load(from + third), w0);
        c1 = multiplyAdd<X>(c1, v128.load(from + third, 16), w1);
        d0 = multiplyAdd<X>(d0, v128.load(from + fourth), w0);
        d1 = multiplyAdd<X>(d1, v128.load(from + fourth, 16), w1);
      }
      const whole = channels - channel >= 8;
      if (plain && load<i32>(record, RECORD_SCALING) == SCALING_EXACT) {
        storeExactPair(a0, a1, b0, b1, record, y + to, stride, whole, count > 1, shape);
        if (count > 2) {
          storeExactPair(c0, c1, d0, d1, record, y + to + 2 * stride, stride, whole, count > 3, shape);
        }
      } else {
        storePair(a0, a1, b0, b1, record, to, stride, whole, count > 1, y, side, shape);
        if (count > 2) {
          storePair(c0, c1, d0, d1, record, to + 2 * stride, stride, whole, count > 3, y, side, shape);
        }
      }
    }
  }
}

/** One group of rows, from row `row` of the image on, `channels` of each pixel's channels. */
function interleave<X>(image: usize, to: usize, row: i32, channels: i32, shape: Depthwise): void {
  const end = to + shape.rowBytes;
  const pixel = <usize>shape.blockChannels << 2;
  // Both forms of the fill; of int8 the offset is taken off with the rest.
  const fill = sizeof<X>() == 2 ? i16x8.splat(<i16>shape.fill) : i8x16.splat(<i8>shape.fill);
  const offset = i8x16.splat(<i8>shape.offset);
  const padding = sizeof<X>() == 2 ? fill : i8x16.sub(fill, offset);
  let a = rowAddress(image, row, shape);
  let b = rowAddress(image, row + shape.dilation, shape);
  let c: usize = 0, d: usize = 0;
  if (sizeof<X>() == 1) {
    c = rowAddress(image, row + 2 * shape.dilation, shape);
    d = rowAddress(image, row + 3 * shape.dilation, shape);
  }
  if (!(a | b | c | d)) {
    fillPixels(to, end, padding);
    return;
  }
  to = fillPixels(to, to + <usize>shape.left * pixel, padding);
  const stride = <usize>shape.pixelBytes;
  for (let column = 0; column < shape.inWidth; column++, to += pixel) {
    const offsetOf = <usize>column * stride;
    let i: usize = 0;
    if (sizeof<X>() == 2) {
      for (; i + 8 <= <usize>channels; i += 8) {
        const first = a ? v128.load_ext<i8>(a + offsetOf + i) : fill;
        const second = b ? v128.load_ext<i8>(b + offsetOf + i) : fill;
        v128.store(to + (i << 2), v128.shuffle<i16>(first, second, 0, 8, 1, 9, 2, 10, 3, 11));
        v128.store(to + (i << 2), v128.shuffle<i16>(first, second, 4, 12, 5, 13, 6, 14, 7, 15), 16);
      }
      if (i < <usize>channels) {
        const first = a ? i16x8.extend_low_i8x16_s(v128.load32_zero(a + offsetOf + i)) : fill;
        const second = b ? i16x8.extend_low_i8x16_s(v128.load32_zero(b + offsetOf + i)) : fill;
        v128.store(to + (i << 2), v128.shuffle<i16>(first, second, 0, 8, 1, 9, 2, 10, 3, 11));
      }
    } else {
      for (; i + 8 <= <usize>channels; i += 8) {
        const ab = lowBytes(a ? v128.load64_zero(a + offsetOf + i) : fill, b ? v128.load64_zero(b + offsetOf + i) : fill);
        const cd = lowBytes(c ? v128.load64_zero(c + offsetOf + i) : fill, d ? v128.load64_zero(d + offsetOf + i) : fill);
        v128.store(to + (i << 2), i8x16.sub(v128.shuffle<i16>(ab, cd, 0, 8, 1, 9, 2, 10, 3, 11), offset));
        v128.store(to + (i << 2), i8x16.sub(v128.shuffle<i16>(ab, cd, 4, 12, 5, 13, 6, 14, 7, 15), offset), 16);
      }
      if (i < <usize>channels) {
        const ab = lowBytes(a ? v128.load32_zero(a + offsetOf + i) : fill, b ? v128.load32_zero(b + offsetOf + i) : fill);
        const cd = lowBytes(c ? v128.load32_zero(c + offsetOf + i) : fill, d ? v128.load32_zero(d + offsetOf + i) : fill);
        v128.store(to + (i << 2), i8x16.sub(v128.shuffle<i16>(ab, cd, 0, 8, 1, 9, 2, 10, 3, 11), offset));
      }
    }
  }
  fillPixels(to, end, padding);
}

// @ts-ignore: decorator
@inline
function lowBytes(a: v128, b: v128): v128 {
  return v128.shuffle<i8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

/** 0 where the row is padding. */
// @ts-ignore: decorator
@inline
function rowAddress(image: usize, row: i32, shape: Depthwise): usize {
  return <u32>row < <u32>shape.inHeight ? image + <usize>(row * shape.inWidth * shape.pixelBytes) : 0;
}

/** Fills [to, end), a multiple of 16 bytes. */
function fillPixels(to: usize, end: usize, fill: v128): usize {
  for (; to < end; to += 16) v128.store(to, fill);
  return end;
}
