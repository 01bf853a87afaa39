import { binaryOperator } from './elementwise.ts';

export const mul = binaryOperator({
  op: 'Mul',
  binary: (a, b) => a * b,
  role: 'computes',
  note: '`binary`; of one tensor, or with a constant that does not vary within a channel, `lookup`',
  integer: (a, b) => a * b,
});
