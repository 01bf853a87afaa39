import { unaryOperator } from './elementwise.ts';

export const relu = unaryOperator({
  op: 'Relu',
  role: 'clamps',
  homogeneous: true,
  unary: () => (x) => Math.max(0, x),
});
