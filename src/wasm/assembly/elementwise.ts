/** Functions of two tensors, and table lookup. A unit is one pixel; its channels are stored in whole quads. */
import { Binary, Lookup } from './parameters';
import { load4, packRescaled, powerOfHalf } from './requantize';
import { fillLanes } from './pool';

/** Where the second operand of a pixel begins. */
// @ts-ignore: decorator
@inline
function otherPixel(b: usize, shape: Binary, unit: i32): usize {
  const row = unit / shape.width;
  return (
    b +
    <usize>((row / shape.height) * shape.otherImageBytes) +
    <usize>((row % shape.height) * shape.otherRowBytes) +
    <usize>((unit % shape.width) * shape.otherPixelBytes)
  );
}

/** Four channels of the second operand, or its only one four times. */
// @ts-ignore: decorator
@inline
function loadOther(address: usize, step: usize): v128 {
  return step ? load4(address) : i32x4.splat(load<i8>(address));
}

/** `y = clamp(z + rne(((a − z_a) · m_a + (b − z_b) · m_b) · 2^−shift))`, the sum exact in int32. */
export function sum(a: usize, b: usize, y: usize, shape: Binary, unitStart: i32, unitEnd: i32): void {
  const channels = <usize>shape.channels;
  const otherStep = <usize>shape.otherStep;
  const zeroA = i32x4.splat(shape.inputZeroPoint);
  const zeroB = i32x4.splat(shape.otherZeroPoint);
  const multiplierA = i32x4.splat(shape.multiplier);
  const multiplierB = i32x4.splat(shape.otherMultiplier);
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  const lo = i32x4.splat(shape.lo);
  const hi = i32x4.splat(shape.hi);
  const factor = powerOfHalf(shape.shift);
  // Where the operands are alike all pixels are one row.
  const step = shape.same ? unitEnd - unitStart : 1;
  for (let unit = unitStart; unit < unitEnd; unit += step) {
    let other = shape.same ? b + <usize>unit * channels : otherPixel(b, shape, unit);
    const end = <usize>(unit + step) * channels;
    for (let at = <usize>unit * channels; at < end; at += 4, other += otherStep) {
      const first = i32x4.mul(i32x4.sub(load4(a + at), zeroA), multiplierA);
      const second = i32x4.mul(i32x4.sub(loadOther(other, otherStep), zeroB), multiplierB);
      store<i32>(y + at, packRescaled(i32x4.add(first, second), factor, zeroPoint, lo, hi));
    }
  }
  fillPixels(y, shape.channels, shape.lastLanes, shape.fill, unitStart, unitEnd);
}

/** `y = clamp(z + rne((a − z_a) · (b − z_b) · m · 2^−shift))`, the product exact in int32. */
export function product(a: usize, b: usize, y: usize, shape: Binary, unitStart: i32, unitEnd: i32): void {
  const channels = <usize>shape.channels;
  const otherStep = <usize>shape.otherStep;
  const zeroA = i32x4.splat(shape.inputZeroPoint);
  const zeroB = i32x4.splat(shape.otherZeroPoint);
  const multiplier = i32x4.splat(shape.multiplier);
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  const lo = i32x4.splat(shape.lo);
  const hi = i32x4.splat(shape.hi);
  const factor = powerOfHalf(shape.shift);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const at = <usize>unit * channels;
    let other = shape.same ? b + at : otherPixel(b, shape, unit);
    for (let c: usize = 0; c < channels; c += 4, other += otherStep) {
      const second = i32x4.sub(loadOther(other, otherStep), zeroB);
      const exact = i32x4.mul(i32x4.sub(load4(a + at + c), zeroA), second);
      const scaled = i32x4.mul(exact, multiplier);
      store<i32>(y + at + c, packRescaled(scaled, factor, zeroPoint, lo, hi));
    }
  }
  fillPixels(y, shape.channels, shape.lastLanes, shape.fill, unitStart, unitEnd);
}

/** `y = clamp(max(a, b))` of integers that are quantized alike. */
export function maximum(a: usize, b: usize, y: usize, shape: Binary, unitStart: i32, unitEnd: i32): void {
  extreme(true, a, b, y, shape, unitStart, unitEnd);
}

/** `y = clamp(min(a, b))`. */
export function minimum(a: usize, b: usize, y: usize, shape: Binary, unitStart: i32, unitEnd: i32): void {
  extreme(false, a, b, y, shape, unitStart, unitEnd);
}

// @ts-ignore: decorator
@inline
function extreme(
  isLargest: bool,
  a: usize,
  b: usize,
  y: usize,
  shape: Binary,
  unitStart: i32,
  unitEnd: i32,
): void {
  const channels = <usize>shape.channels;
  const otherStep = <usize>shape.otherStep;
  const lo = i8x16.splat(<i8>shape.lo);
  const hi = i8x16.splat(<i8>shape.hi);
  const step = shape.same ? unitEnd - unitStart : 1;
  for (let unit = unitStart; unit < unitEnd; unit += step) {
    let other = shape.same ? b + <usize>unit * channels : otherPixel(b, shape, unit);
    const end = <usize>(unit + step) * channels;
    for (let at = <usize>unit * channels; at < end; at += 4, other += otherStep) {
      const first = v128.load32_zero(a + at);
      const second = otherStep ? v128.load32_zero(other) : v128.load8_splat(other);
      const chosen = isLargest ? i8x16.max_s(first, second) : i8x16.min_s(first, second);
      v128.store32_lane(y + at, i8x16.min_s(i8x16.max_s(chosen, lo), hi), 0);
    }
  }
  fillPixels(y, shape.channels, shape.lastLanes, shape.fill, unitStart, unitEnd);
}

/** `y = clamp(table[256 · (a + 128) + b + 128])`. */
export function entry(
  a: usize,
  b: usize,
  y: usize,
  table: usize,
  shape: Binary,
  unitStart: i32,
  unitEnd: i32,
): void {
  const channels = <usize>shape.channels;
  const otherStep = <usize>shape.otherStep / 4;
  const middle = table + 256 * 128 + 128;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const at = <usize>unit * channels;
    let other = shape.same ? b + at : otherPixel(b, shape, unit);
    for (let c: usize = 0; c < channels; c++, other += otherStep) {
      const value = <i32>load<i8>(middle + 256 * load<i8>(a + at + c) + load<i8>(other));
      store<i8>(y + at + c, <i8>max(min(value, shape.hi), shape.lo));
    }
  }
  fillPixels(y, shape.channels, shape.lastLanes, shape.fill, unitStart, unitEnd);
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

/** Channels whose tables, of 256 bytes each, are read together: they stay in the nearest cache. */
const TABLES: usize = 64;

/** `y = table[256 · c + x + 128]`; padded channels have tables too. */
export function lookupChannels(
  x: usize,
  y: usize,
  tables: usize,
  shape: Lookup,
  unitStart: i32,
  unitEnd: i32,
): void {
  const channels = <usize>shape.channels;
  for (let first: usize = 0; first < channels; first += TABLES) {
    const length = min(TABLES, channels - first);
    const middle = tables + (first << 8) + 128;
    for (let unit = unitStart; unit < unitEnd; unit++) {
      const start = <usize>unit * channels + first;
      let table = middle;
      for (let at = start; at < start + length; at += 4, table += 1024) {
        store<i8>(y + at, load<i8>(table + load<i8>(x + at)));
        store<i8>(y + at, load<i8>(table + load<i8>(x + at, 1), 256), 1);
        store<i8>(y + at, load<i8>(table + load<i8>(x + at, 2), 512), 2);
        store<i8>(y + at, load<i8>(table + load<i8>(x + at, 3), 768), 3);
      }
    }
  }
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
