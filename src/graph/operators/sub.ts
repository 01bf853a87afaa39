import { binaryOperator } from './elementwise.ts';

export const sub = binaryOperator({
  op: 'Sub',
  binary: (a, b) => a - b,
  role: 'computes',
  note: '`binary`; of one tensor, or with a constant of one element, `lookup`',
  integer: (a, b) => a - b,
});
