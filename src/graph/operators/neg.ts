import { unaryOperator } from './elementwise.ts';

export const neg = unaryOperator({ op: 'Neg', unary: () => (x) => -x });
