import { expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { softmax, topK } from '../../src/vision/ranking.ts';

test('softmax is exact on what can be worked out by hand, and survives large logits', () => {
  expect([...softmax([0, 0, 0, 0])]).toEqual([0.25, 0.25, 0.25, 0.25]);
  expect(softmax([Math.log(3), 0])[0]).toBeCloseTo(0.75, 15);
  expect([...softmax([1e6, 0])]).toEqual([1, 0]);
  expect([...softmax([-1e6, -1e6])]).toEqual([0.5, 0.5]);
  expect([...softmax([0, -Infinity])]).toEqual([1, 0]);
});

test.each([[[NaN, 1]], [[]], [[Infinity, 0]], [[-Infinity]]])('softmax refuses %j', (logits) => {
  expect(() => softmax(logits)).toThrow(InputError);
});

test('topK ranks, breaks ties by index, and names what has no label by its index', () => {
  const ranked = topK([0.1, 0.4, 0.1, 0.4], ['a', 'b'], 3);
  expect(ranked.map(({ index }) => index)).toEqual([1, 3, 0]);
  expect(ranked.map(({ label }) => label)).toEqual(['b', '3', 'a']);
  expect(topK([1], [], 5)).toEqual([{ label: '0', index: 0, probability: 1 }]);
});
