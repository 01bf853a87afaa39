import { binaryOperator } from './elementwise.ts';
import { inPairs } from './in-pairs.ts';

export const max = binaryOperator({
  op: 'Max',
  binary: Math.max,
  inputs: [1, Infinity],
  normalize: inPairs,
  integer: (a, b) => (a > b ? a : b),
});
