/** Softmax over the channels of a pixel, in integers. */
import { Softmax } from './parameters';

/**
 * `y = clamp(z + rne(e · mantissa / (2^shift · Σe)))`, `e` by table from the largest value less each. `known` is the caller's own memory for
 * 256 results of 16 bits: a pixel has few distinct values, and a division takes long. A unit is a pixel.
 */
export function softmax(
  x: usize,
  y: usize,
  exponentials: usize,
  known: usize,
  shape: Softmax,
  unitStart: i32,
  unitEnd: i32,
): void {
  const count = <usize>shape.count;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const from = x + <usize>unit * <usize>shape.channels;
    const to = y + <usize>unit * <usize>shape.channels;
    let largest: i32 = -128;
    for (let c: usize = 0; c < count; c++) largest = max(largest, <i32>load<i8>(from + c));
    let sum: u64 = 0;
    for (let c: usize = 0; c < count; c++) {
      sum += <u64>load<u32>(exponentials + (<usize>(largest - <i32>load<i8>(from + c)) << 2));
    }
    memory.fill(known, 0xff, 512);
    for (let c: usize = 0; c < count; c++) {
      const difference = <usize>(largest - <i32>load<i8>(from + c));
      const at = known + (difference << 1);
      let q = <i32>load<i16>(at);
      if (q < 0) {
        q = quotient(<u64>load<u32>(exponentials + (difference << 2)), sum, shape);
        store<i16>(at, <i16>q);
      }
      store<i8>(to + c, <i8>min(max(shape.zeroPoint + q, shape.lo), shape.hi));
    }
    for (let c = count; c < <usize>shape.channels; c++) store<i8>(to + c, <i8>shape.zeroPoint);
  }
}

/** The rounded quotient, ties to even, saturated far beyond int8. */
function quotient(exponential: u64, sum: u64, shape: Softmax): i32 {
  const product = exponential * <u64>shape.mantissa;
  const whole = product / sum;
  const remainder = product - whole * sum;
  const shift = <u64>shape.shift;
  const down = whole >> shift;
  // Below the rounding bit: 31 bits of `sum` times 25 of the shift stay within 64.
  const rest = ((whole - (down << shift)) * sum + remainder) << 1;
  const unit = sum << shift;
  const up = rest > unit || (rest == unit && (down & 1) == 1);
  return <i32>min<u64>(down + <u64>up, 1024);
}
