import { binaryOperator } from './elementwise.ts';

export const sum = binaryOperator({
  op: 'Sum',
  inputs: [1, Infinity],
  role: 'none',
  binary: (a, b) => a + b,
});
