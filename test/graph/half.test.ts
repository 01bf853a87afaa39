import { expect, test } from 'vitest';
import { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from '../../src/graph/half.ts';

const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** NaN has many patterns; any is as good. */
const canonical = (bits: Uint16Array, exponent: number, fraction: number) =>
  bits.map((b) => ((b & exponent) === exponent && (b & fraction) !== 0 ? exponent | fraction : b));

/** Index of the first difference, -1 where there is none: comparing 65,536 elements one by one takes the runner seconds. */
const difference = (actual: Uint16Array, expected: Uint16Array) =>
  actual.length === expected.length ? actual.findIndex((bits, i) => bits !== expected[i]) : actual.length;

test('every float16 survives widening and narrowing', () => {
  const back = narrowFloat16(widenFloat16(patterns));
  expect(difference(canonical(back, 0x7c00, 0x3ff), canonical(patterns, 0x7c00, 0x3ff))).toBe(-1);
});

test('every bfloat16 survives widening and narrowing', () => {
  const back = narrowBfloat16(widenBfloat16(patterns));
  expect(difference(canonical(back, 0x7f80, 0x7f), canonical(patterns, 0x7f80, 0x7f))).toBe(-1);
});

test('values between two float16 go to the nearer, ties to the even one', () => {
  const values = widenFloat16(patterns.slice(0, 0x7bff));
  const next = widenFloat16(patterns.slice(1, 0x7c00));
  const middle = values.map((value, i) => (value + next[i]) / 2);
  const below = middle.map((value, i) => (value + values[i]) / 2);
  const above = middle.map((value, i) => (value + next[i]) / 2);
  const expected = patterns.slice(0, 0x7bff);
  expect(difference(narrowFloat16(below), expected)).toBe(-1);
  expect(
    difference(
      narrowFloat16(above),
      expected.map((bits) => bits + 1),
    ),
  ).toBe(-1);
  expect(
    difference(
      narrowFloat16(middle),
      expected.map((bits) => bits + (bits & 1)),
    ),
  ).toBe(-1);
});
