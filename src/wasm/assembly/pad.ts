/**
 * Copies an image into a frame of padding, once, so that no convolution kernel has a border case: every window of the output
 * then lies inside its frame, and a row of a window is contiguous.
 *
 * x  int8 [batch][height][width][channels]          channels: as stored, a multiple of 4
 * y  [batch][frameHeight][frameWidth][channels]     int16 (pad16), or int8 less an offset (pad8)
 *
 * A unit is one row of y. `fill` is what padding holds: the zero point.
 */
import { Frame } from './parameters';

/** Widens to int16, what `i32x4.dot_i16x8_s` multiplies. */
export function pad16(x: usize, y: usize, frame: Frame, unitStart: i32, unitEnd: i32): void {
  const rowBytes = <usize>frame.frameRowElements << 1;
  const fill = i16x8.splat(<i16>frame.fill);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const row = (unit % frame.frameHeight) - frame.top;
    const image = unit / frame.frameHeight;
    let to = y + <usize>unit * rowBytes;
    const end = to + rowBytes;
    if (<u32>row >= <u32>frame.height) {
      fillRow(to, end, fill);
      continue;
    }
    let from = x + <usize>(image * frame.height + row) * frame.rowElements;
    to = fillRow(to, to + (<usize>frame.leftElements << 1), fill);
    const inside = to + (<usize>frame.rowElements << 1);
    for (; to + 16 <= inside; to += 16, from += 8) v128.store(to, v128.load_ext<i8>(from));
    // Rows are a multiple of four elements.
    if (to < inside) {
      v128.store64_lane(to, i16x8.extend_low_i8x16_s(v128.load32_zero(from)), 0);
      to += 8;
    }
    fillRow(to, end, fill);
  }
}

/** Keeps int8, shifted into the range that the relaxed dot wants. */
export function pad8(x: usize, y: usize, frame: Frame, unitStart: i32, unitEnd: i32): void {
  const rowBytes = <usize>frame.frameRowElements;
  const offset = i8x16.splat(<i8>frame.offset);
  const fill = i8x16.splat(<i8>(frame.fill - frame.offset));
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const row = (unit % frame.frameHeight) - frame.top;
    const image = unit / frame.frameHeight;
    let to = y + <usize>unit * rowBytes;
    const end = to + rowBytes;
    if (<u32>row >= <u32>frame.height) {
      fillRow(to, end, fill);
      continue;
    }
    let from = x + <usize>(image * frame.height + row) * frame.rowElements;
    to = fillRow(to, to + <usize>frame.leftElements, fill);
    const inside = to + <usize>frame.rowElements;
    for (; to + 16 <= inside; to += 16, from += 16) v128.store(to, i8x16.sub(v128.load(from), offset));
    for (; to < inside; to += 4, from += 4) {
      v128.store32_lane(to, i8x16.sub(v128.load32_zero(from), offset), 0);
    }
    fillRow(to, end, fill);
  }
}

/** Fills [to, end), a multiple of four bytes. */
function fillRow(to: usize, end: usize, fill: v128): usize {
  for (; to + 16 <= end; to += 16) v128.store(to, fill);
  for (; to < end; to += 4) v128.store32_lane(to, fill, 0);
  return end;
}
