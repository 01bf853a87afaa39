import { binaryOperator } from './elementwise.ts';

export const min = binaryOperator({
  op: 'Min',
  binary: Math.min,
  inputs: [1, Infinity],
  integer: (a, b) => (a < b ? a : b),
});
