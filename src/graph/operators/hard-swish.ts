import { unaryOperator } from './elementwise.ts';

export const hardSwish = unaryOperator({
  op: 'HardSwish',
  since: 14,
  unary: () => (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5)),
});
