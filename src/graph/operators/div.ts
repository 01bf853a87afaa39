import { binaryOperator } from './elementwise.ts';

export const div = binaryOperator({
  op: 'Div',
  note: '`lookup`; of two tensors, `binary`',
  binary: (a, b) => a / b,
  integer: (a, b) => (b === 0n ? undefined : a / b),
});
