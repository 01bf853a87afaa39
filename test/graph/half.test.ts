import { expect, test } from 'vitest';
import { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from '../../src/graph/half.ts';

const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** NaN has many patterns; any is as good. */
const canonical = (bits: Uint16Array, exponent: number, fraction: number) =>
  bits.map((b) => ((b & exponent) === exponent && (b & fraction) !== 0 ? exponent | fraction : b));

test('every float16 survives widening and narrowing', () => {
  const back = narrowFloat16(widenFloat16(patterns));
  expect(canonical(back, 0x7c00, 0x3ff)).toEqual(canonical(patterns, 0x7c00, 0x3ff));
});

test('every bfloat16 survives widening and narrowing', () => {
  const back = narrowBfloat16(widenBfloat16(patterns));
  expect(canonical(back, 0x7f80, 0x7f)).toEqual(canonical(patterns, 0x7f80, 0x7f));
});

test('values between two float16 go to the nearer, ties to the even one', () => {
  const values = widenFloat16(patterns.slice(0, 0x7bff));
  const next = widenFloat16(patterns.slice(1, 0x7c00));
  const middle = values.map((value, i) => (value + next[i]) / 2);
  const below = middle.map((value, i) => (value + values[i]) / 2);
  const above = middle.map((value, i) => (value + next[i]) / 2);
  const expected = patterns.slice(0, 0x7bff);
  expect(narrowFloat16(below)).toEqual(expected);
  expect(narrowFloat16(above)).toEqual(expected.map((bits) => bits + 1));
  expect(narrowFloat16(middle)).toEqual(expected.map((bits) => bits + (bits & 1)));
});
