/** Addition, multiplication, concatenation, selection of channels and table lookup. A unit is one pixel; its channels are stored in whole quads. */
import { Add, Concat, Gather, Lookup, Mul } from './parameters';
import { load4, packRescaled } from './requantize';
import { fillLanes } from './pool';

/** `y = clamp(z + rne(((a − z_a) · m_a + (b − z_b) · m_b) · 2^−shift))`, the sum exact in int32. */
export function add(a: usize, b: usize, y: usize, shape: Add, unitStart: i32, unitEnd: i32): void {
  const channels = <usize>shape.channels;
  const zeroA = i32x4.splat(shape.inputZeroPoint);
  const zeroB = i32x4.splat(shape.otherZeroPoint);
  const multiplierA = i32x4.splat(shape.multiplier);
  const multiplierB = i32x4.splat(shape.otherMultiplier);
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  const lo = i32x4.splat(shape.lo);
  const hi = i32x4.splat(shape.hi);
  const end = <usize>unitEnd * channels;
  for (let at = <usize>unitStart * channels; at < end; at += 4) {
    const first = i32x4.mul(i32x4.sub(load4(a + at), zeroA), multiplierA);
    const second = i32x4.mul(i32x4.sub(load4(b + at), zeroB), multiplierB);
    store<i32>(y + at, packRescaled(i32x4.add(first, second), shape.shift, zeroPoint, lo, hi));
  }
  fillPixels(y, shape.channels, shape.lastLanes, shape.zeroPoint, unitStart, unitEnd);
}

/** `y = clamp(z + rne((a − z_a) · (b − z_b) · m · 2^−shift))`, the product exact in int32. */
export function mul(a: usize, b: usize, y: usize, shape: Mul, unitStart: i32, unitEnd: i32): void {
  const channels = <usize>shape.channels;
  const zeroA = i32x4.splat(shape.inputZeroPoint);
  const zeroB = i32x4.splat(shape.otherZeroPoint);
  const multiplier = i32x4.splat(shape.multiplier);
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  const lo = i32x4.splat(shape.lo);
  const hi = i32x4.splat(shape.hi);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const at = <usize>unit * channels;
    const other = b + <usize>(unit / shape.repeats) * channels;
    for (let c: usize = 0; c < channels; c += 4) {
      const product = i32x4.mul(i32x4.sub(load4(a + at + c), zeroA), i32x4.sub(load4(other + c), zeroB));
      const scaled = i32x4.mul(product, multiplier);
      store<i32>(y + at + c, packRescaled(scaled, shape.shift, zeroPoint, lo, hi));
    }
  }
  fillPixels(y, shape.channels, shape.lastLanes, shape.zeroPoint, unitStart, unitEnd);
}

/** One input of a concatenation: rescaled, and put at `firstChannel` of each pixel. */
export function concat(x: usize, y: usize, shape: Concat, unitStart: i32, unitEnd: i32): void {
  const zero = i32x4.splat(shape.inputZeroPoint);
  const multiplier = i32x4.splat(shape.multiplier);
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  const lo = i32x4.splat(shape.lo);
  const hi = i32x4.splat(shape.hi);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const pixel = y + <usize>unit * <usize>shape.outChannels;
    const from = x + <usize>unit * <usize>shape.channels;
    const to = pixel + <usize>shape.firstChannel;
    for (let c: i32 = 0; c < shape.channels; c += 4) {
      const scaled = i32x4.mul(i32x4.sub(load4(from + c), zero), multiplier);
      let word = packRescaled(scaled, shape.shift, zeroPoint, lo, hi);
      if (c + 4 < shape.channels || shape.lastLanes == 4) {
        store<i32>(to + c, word);
      } else {
        // The neighbour's channels begin inside this quad.
        for (let lane = 0; lane < shape.lastLanes; lane++, word >>= 8) store<i8>(to + c + lane, <i8>word);
      }
    }
    for (let c = shape.fillFrom; c < shape.outChannels; c++) store<i8>(pixel + c, <i8>shape.zeroPoint);
  }
}

/** `y[c] = x[source[c]]`; `source` is i32. */
export function gather(x: usize, y: usize, source: usize, shape: Gather, unitStart: i32, unitEnd: i32): void {
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const from = x + <usize>unit * <usize>shape.inChannels;
    const to = y + <usize>unit * <usize>shape.stored;
    for (let c = 0; c < shape.channels; c++) {
      store<i8>(to + c, load<i8>(from + <usize>load<i32>(source + (<usize>c << 2))));
    }
    for (let c = shape.channels; c < shape.stored; c++) store<i8>(to + c, <i8>shape.zeroPoint);
  }
}

/** `y = table[x + 128]`. */
export function lookup(x: usize, y: usize, table: usize, shape: Lookup, unitStart: i32, unitEnd: i32): void {
  const channels = <usize>shape.channels;
  const middle = table + 128;
  const end = <usize>unitEnd * channels;
  for (let at = <usize>unitStart * channels; at < end; at += 4) {
    store<i8>(y + at, load<i8>(middle + load<i8>(x + at)));
    store<i8>(y + at, load<i8>(middle + load<i8>(x + at, 1)), 1);
    store<i8>(y + at, load<i8>(middle + load<i8>(x + at, 2)), 2);
    store<i8>(y + at, load<i8>(middle + load<i8>(x + at, 3)), 3);
  }
  fillPixels(y, shape.channels, shape.lastLanes, shape.zeroPoint, unitStart, unitEnd);
}

/** Padded lanes of whole pixels. */
function fillPixels(
  y: usize,
  channels: i32,
  lastLanes: i32,
  zeroPoint: i32,
  unitStart: i32,
  unitEnd: i32,
): void {
  if (lastLanes == 4) return;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    fillLanes(y + <usize>(unit + 1) * <usize>channels, lastLanes, zeroPoint);
  }
}
