import { binaryOperator } from './elementwise.ts';

export const max = binaryOperator({
  op: 'Max',
  binary: Math.max,
  inputs: [1, Infinity],
  integer: (a, b) => (a > b ? a : b),
});
