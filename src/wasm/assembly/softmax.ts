/** Softmax over the channels of a pixel, in integers, its logarithm, and the index of the largest value. */
import { LogSoftmax, Softmax } from './parameters';

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
    const largest = largestOf(from, count);
    const sum = <u64>sumOf(from, count, largest, exponentials);
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

function largestOf(from: usize, count: usize): i32 {
  let largest: i32 = -128;
  for (let c: usize = 0; c < count; c++) largest = max(largest, <i32>load<i8>(from + c));
  return largest;
}

/** Of the exponentials, at most 2³¹. */
function sumOf(from: usize, count: usize, largest: i32, exponentials: usize): u32 {
  let sum: u32 = 0;
  for (let c: usize = 0; c < count; c++) {
    sum += load<u32>(exponentials + (<usize>(largest - <i32>load<i8>(from + c)) << 2));
  }
  return sum;
}

/** `y = clamp(z − rne((steps[d] + L(Σe)) · 2^−shift))`, as src/ops/logSoftmax/reference.ts has it. A unit is a pixel. */
export function logSoftmax(
  x: usize,
  y: usize,
  exponentials: usize,
  steps: usize,
  logarithms: usize,
  shape: LogSoftmax,
  unitStart: i32,
  unitEnd: i32,
): void {
  const count = <usize>shape.count;
  const half = (1 << (shape.shift - 1)) - 1;
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const from = x + <usize>unit * <usize>shape.channels;
    const to = y + <usize>unit * <usize>shape.channels;
    const largest = largestOf(from, count);
    const sum = sumOf(from, count, largest, exponentials);
    const zeros = clz<u32>(sum);
    const normalized = sum << zeros;
    const entry = logarithms + (<usize>((normalized >> 23) & 255) << 2);
    const low = load<i32>(entry);
    const logarithm =
      (31 - <i32>zeros - shape.bits) * load<i32>(logarithms, 1024) +
      low +
      (((load<i32>(entry, 4) - low) * <i32>((normalized >> 7) & 0xffff)) >> 16);
    for (let c: usize = 0; c < count; c++) {
      const value = load<i32>(steps + (<usize>(largest - <i32>load<i8>(from + c)) << 2)) + logarithm;
      const rounded = (value + half + ((value >> shape.shift) & 1)) >> shape.shift;
      store<i8>(to + c, <i8>min(max(shape.zeroPoint - rounded, shape.lo), shape.hi));
    }
    for (let c = count; c < <usize>shape.channels; c++) store<i8>(to + c, <i8>shape.zeroPoint);
  }
}

/** The channel with the largest value; `flip` −1 of the complements: the least. Of equals the first, or with `last` the last. A unit is a pixel. */
export function argMax(
  x: usize,
  y: usize,
  channels: i32,
  count: i32,
  flip: i32,
  last: i32,
  unitStart: i32,
  unitEnd: i32,
): void {
  for (let unit = unitStart; unit < unitEnd; unit++) {
    const from = x + <usize>unit * <usize>channels;
    // Below every value.
    let best = -129;
    let index = 0;
    for (let c = 0; c < count; c++) {
      const value = <i32>load<i8>(from + <usize>c) ^ flip;
      // Where equals count, what is one below does not.
      if (value + last > best) {
        best = value;
        index = c;
      }
    }
    store<i32>(y + (<usize>unit << 2), index);
  }
}
