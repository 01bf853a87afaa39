import { binaryOperator } from './elementwise.ts';

export const add = binaryOperator({
  op: 'Add',
  binary: (a, b) => a + b,
  role: 'computes',
  integer: (a, b) => a + b,
});
