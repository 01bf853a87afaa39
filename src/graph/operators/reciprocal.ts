import { unaryOperator } from './elementwise.ts';

export const reciprocal = unaryOperator({ op: 'Reciprocal', unary: () => (x) => 1 / x });
