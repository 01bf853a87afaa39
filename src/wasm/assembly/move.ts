/** Elements in other places. A unit is one row of the box that an input fills in one image. */
import { Move } from './parameters';

/**
 * `y[n, h, w, c] = table[x[n, rows[h] + columns[w] + channels[c]]]`, the fill where the sum is negative. `offsets` holds the box's rows,
 * columns and channels one after the other, or with `run` −1 one offset an element; `table` is read where `mapped`.
 */
export function move(
  x: usize,
  y: usize,
  offsets: usize,
  table: usize,
  shape: Move,
  unitStart: i32,
  unitEnd: i32,
): void {
  const columns = offsets + (<usize>shape.height << 2);
  const lanes = columns + (<usize>shape.width << 2);
  const middle = table + 128;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const n = unit / shape.height;
    const h = unit % shape.height;
    const image = x + <usize>n * <usize>shape.inBytes;
    const row = <usize>((n * shape.outHeight + shape.firstRow + h) * shape.outWidth + shape.firstColumn);
    for (let w = 0; w < shape.width; w++) {
      const pixel = y + (row + <usize>w) * <usize>shape.outChannels;
      const to = pixel + <usize>shape.firstChannel;
      if (shape.run < 0) {
        const list = offsets + (<usize>((h * shape.width + w) * shape.channels) << 2);
        for (let c = 0; c < shape.channels; c++) {
          const at = load<i32>(list + (<usize>c << 2));
          store<i8>(to + c, at < 0 ? <i8>shape.fill : element(image + at, middle, shape.mapped));
        }
      } else {
        const base = load<i32>(offsets + (<usize>h << 2)) + load<i32>(columns + (<usize>w << 2));
        if (shape.run > 0) {
          const at = base + load<i32>(lanes);
          if (at < 0) memory.fill(to, <u8>shape.fill, shape.channels);
          else if (shape.mapped) mapRun(image + at, to, middle, shape.channels);
          else copyRun(image + at, to, shape.channels);
        } else {
          for (let c = 0; c < shape.channels; c++) {
            const at = base + load<i32>(lanes + (<usize>c << 2));
            store<i8>(to + c, at < 0 ? <i8>shape.fill : element(image + at, middle, shape.mapped));
          }
        }
      }
      for (let c = shape.fillFrom; c < shape.outChannels; c++) store<i8>(pixel + c, <i8>shape.zeroPoint);
    }
  }
}

// @ts-ignore: decorator
@inline
function element(at: usize, middle: usize, mapped: i32): i8 {
  const q = load<i8>(at);
  return mapped ? load<i8>(middle + q) : q;
}

// @ts-ignore: decorator
@inline
function copyRun(from: usize, to: usize, length: i32): void {
  let c = 0;
  for (; c + 16 <= length; c += 16) v128.store(to + c, v128.load(from + c));
  for (; c + 4 <= length; c += 4) store<i32>(to + c, load<i32>(from + c));
  for (; c < length; c++) store<i8>(to + c, load<i8>(from + c));
}

// @ts-ignore: decorator
@inline
function mapRun(from: usize, to: usize, middle: usize, length: i32): void {
  for (let c = 0; c < length; c++) store<i8>(to + c, load<i8>(middle + load<i8>(from + c)));
}

/** One image of `bytes` constants, for each image of y. A unit is an image. */
export function repeat(values: usize, y: usize, bytes: i32, unitStart: i32, unitEnd: i32): void {
  for (let unit = unitStart; unit < unitEnd; unit++) {
    memory.copy(y + <usize>unit * <usize>bytes, values, <usize>bytes);
  }
}
