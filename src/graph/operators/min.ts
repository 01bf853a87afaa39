import { binaryOperator } from './elementwise.ts';
import { inPairs } from './in-pairs.ts';

export const min = binaryOperator({
  op: 'Min',
  binary: Math.min,
  inputs: [1, Infinity],
  normalize: inPairs,
  integer: (a, b) => (a < b ? a : b),
});
