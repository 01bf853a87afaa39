/**
 * Max and average pools, any window. Padding takes no part in a maximum and counts 0 in a mean.
 *
 * x, y  int8 NHWC. A unit is one row of y.
 */
import { Pool } from './parameters';
import { load4, packRescaled, powerOfHalf } from './requantize';

export function maxPool(x: usize, y: usize, shape: Pool, unitStart: i32, unitEnd: i32): void {
  const channels = <usize>shape.channels;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const top = (unit % shape.outHeight) * shape.strideHeight - shape.top;
    const image = x + <usize>(unit / shape.outHeight) * <usize>(shape.height * shape.width) * channels;
    for (let column = 0; column < shape.outWidth; column++) {
      const left = column * shape.strideWidth - shape.left;
      const to = y + <usize>(unit * shape.outWidth + column) * channels;
      let c: usize = 0;
      for (; c + 16 <= channels; c += 16) v128.store(to + c, largest<v128>(image + c, shape, top, left));
      for (; c < channels; c += 4) v128.store32_lane(to + c, largest<i32>(image + c, shape, top, left), 0);
      fillLanes(to + channels, shape.lastLanes, shape.zeroPoint);
    }
  }
}

/** Maximum of a window in 16 channels (T = v128) or 4 (T = i32). */
// @ts-ignore: decorator
@inline
function largest<T>(image: usize, shape: Pool, top: i32, left: i32): v128 {
  let best = i8x16.splat(-128);
  for (let ky = 0; ky < shape.kernelHeight; ky++) {
    const row = top + ky * shape.dilationHeight;
    if (<u32>row >= <u32>shape.height) continue;
    for (let kx = 0; kx < shape.kernelWidth; kx++) {
      const column = left + kx * shape.dilationWidth;
      if (<u32>column >= <u32>shape.width) continue;
      const from = image + <usize>((row * shape.width + column) * shape.channels);
      best = i8x16.max_s(best, sizeof<T>() == 16 ? v128.load(from) : v128.load32_zero(from));
    }
  }
  return best;
}

/** `multipliers[count − 1]` is the one for windows that count `count` taps. */
export function averagePool(
  x: usize,
  y: usize,
  multipliers: usize,
  shape: Pool,
  unitStart: i32,
  unitEnd: i32,
): void {
  const channels = <usize>shape.channels;
  const lo = i32x4.splat(shape.lo);
  const hi = i32x4.splat(shape.hi);
  const factor = powerOfHalf(shape.shift);
  const zeroPoint = i32x4.splat(shape.zeroPoint);
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const top = (unit % shape.outHeight) * shape.strideHeight - shape.top;
    const image = x + <usize>(unit / shape.outHeight) * <usize>(shape.height * shape.width) * channels;
    for (let column = 0; column < shape.outWidth; column++) {
      const left = column * shape.strideWidth - shape.left;
      const to = y + <usize>(unit * shape.outWidth + column) * channels;
      const counted =
        tapsBefore(shape.countedHeight - top, shape.kernelHeight, shape.dilationHeight) *
        tapsBefore(shape.countedWidth - left, shape.kernelWidth, shape.dilationWidth);
      for (let c: usize = 0; c < channels; c += 4) {
        let sum = i32x4.splat(0);
        let inside = 0;
        for (let ky = 0; ky < shape.kernelHeight; ky++) {
          const row = top + ky * shape.dilationHeight;
          if (<u32>row >= <u32>shape.height) continue;
          for (let kx = 0; kx < shape.kernelWidth; kx++) {
            const from = left + kx * shape.dilationWidth;
            if (<u32>from >= <u32>shape.width) continue;
            sum = i32x4.add(sum, load4(image + c + <usize>((row * shape.width + from) * shape.channels)));
            inside++;
          }
        }
        sum = i32x4.sub(sum, i32x4.splat(inside * shape.inputZeroPoint));
        const count = shape.countedHeight == 0 ? inside : counted;
        const multiplier = count == 0 ? 0 : load<i32>(multipliers + (<usize>(count - 1) << 2));
        const scaled = i32x4.mul(sum, i32x4.splat(multiplier));
        store<i32>(to + c, packRescaled(scaled, factor, zeroPoint, lo, hi));
      }
      fillLanes(to + channels, shape.lastLanes, shape.zeroPoint);
    }
  }
}

/** Taps of a window less than `length` from its first. */
// @ts-ignore: decorator
@inline
function tapsBefore(length: i32, kernel: i32, dilation: i32): i32 {
  return min(kernel, (length + dilation - 1) / dilation);
}

/** Puts the zero point in the padded lanes of a pixel that ends at `end`. */
// @ts-ignore: decorator
@inline
export function fillLanes(end: usize, lastLanes: i32, zeroPoint: i32): void {
  for (let lane = lastLanes; lane < 4; lane++) store<i8>(end + lane - 4, <i8>zeroPoint);
}
