/**
 * Depthwise convolution: each channel with its own kernel (groups = channels, one output a channel). Taps are taken in pairs, so that
 * `i32x4.dot_i16x8_s` adds two products a lane: x of two taps is interleaved channel by channel.
 *
 * x           int16, the padded image of pad.ts; it must have 16 readable bytes after its end
 * w           int16 [quad pairs (8 channels)][tap pairs][8 channels][2 taps]; an odd last tap is paired with zeros
 * tapOffsets  [2 · tap pairs] bytes of each tap from the window's first; an odd last one is repeated
 * records     one a quad (requantize.ts)
 *
 * A unit is one row of the output. `shape.segments` counts tap pairs, `shape.rows` output rows of the batch.
 */
import { storeQuad } from './conv2d';
import { Convolution, RECORD, RECORD_BIAS } from './parameters';

export function depthwise(
  x: usize,
  weights: usize,
  records: usize,
  tapOffsets: usize,
  y: usize,
  side: usize,
  shape: Convolution,
  unitStart: i32,
  unitEnd: i32,
): void {
  const pairs = shape.segments;
  const quads = shape.quads;
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const row = x + (unit / shape.height) * shape.imageBytes + (unit % shape.height) * shape.rowBytes;
    for (let column = 0; column < shape.width; column++) {
      const window = row + <usize>(column * shape.pixelBytes);
      let at = <usize>((unit * shape.width + column) * quads) << 2;
      let w = weights;
      for (let quad = 0; quad < quads; quad += 2, at += 8) {
        const channels = window + (<usize>quad << 3);
        let low = i32x4.splat(0);
        let high = low;
        let taps = tapOffsets;
        for (let pair = 0; pair < pairs; pair++, taps += 8, w += 32) {
          const first = v128.load(channels + load<u32>(taps));
          const second = v128.load(channels + load<u32>(taps, 4));
          const lowTaps = v128.shuffle<i16>(first, second, 0, 8, 1, 9, 2, 10, 3, 11);
          const highTaps = v128.shuffle<i16>(first, second, 4, 12, 5, 13, 6, 14, 7, 15);
          low = i32x4.add(low, i32x4.dot_i16x8_s(lowTaps, v128.load(w)));
          high = i32x4.add(high, i32x4.dot_i16x8_s(highTaps, v128.load(w, 16)));
        }
        const record = records + <usize>quad * RECORD;
        storeQuad(i32x4.add(low, v128.load(record, RECORD_BIAS)), record, at, zeroPoint, y, side, shape);
        if (quad + 1 < quads) {
          const next = record + RECORD;
          storeQuad(i32x4.add(high, v128.load(next, RECORD_BIAS)), next, at + 4, zeroPoint, y, side, shape);
        }
      }
    }
  }
}
