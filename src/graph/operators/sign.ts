import { unaryOperator } from './elementwise.ts';

export const sign = unaryOperator({ op: 'Sign', unary: () => Math.sign });
