import { binaryOperator } from './elementwise.ts';

export const pRelu = binaryOperator({
  op: 'PRelu',
  note: '`lookup`; of two tensors, `binary`',
  binary: (a, b) => (a < 0 ? a * b : a),
});
