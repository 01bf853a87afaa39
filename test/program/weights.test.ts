import { expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { int8Weights, weightMagnitudes, weightSums } from '../../src/program/weights.ts';

const shape = { outChannels: 2, taps: 2, inChannels: 3 };
const values = Int8Array.of(1, -2, 3, -4, 5, -6, -128, -128, 127, 0, 0, 1);

test('K is the length of a row', () => {
  expect(int8Weights(shape, values)).toMatchObject({ ...shape, k: 6, bits: 8 });
});

test.each([
  [8, [7, -9]],
  [8, [8, -8]],
  [4, [7, -8]],
  [4, [2, 0]],
  [2, [1, -2]],
  [2, [0, 0]],
] as const)('%i bits hold %j', (bits, pair) => {
  expect(int8Weights({ outChannels: 1, taps: 1, inChannels: 2 }, Int8Array.from(pair)).bits).toBe(bits);
});

test('sums of a channel', () => {
  expect([...weightSums(int8Weights(shape, values))]).toEqual([-3, -128]);
  expect([...weightMagnitudes(int8Weights(shape, values))]).toEqual([21, 384]);
  // |w − 127| reaches 255.
  const shifted = int8Weights(shape, values, Int8Array.of(0, 127));
  expect([...weightSums(shifted)]).toEqual([-3, -128]);
  expect([...weightMagnitudes(shifted)]).toEqual([21, 255 + 255 + 0 + 127 + 127 + 126]);
});

test('a wrong number of values is refused', () => {
  expect(() => int8Weights(shape, new Int8Array(11))).toThrow(InputError);
});
