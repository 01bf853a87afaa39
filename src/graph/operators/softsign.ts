import { unaryOperator } from './elementwise.ts';

export const softsign = unaryOperator({ op: 'Softsign', unary: () => (x) => x / (1 + Math.abs(x)) });
