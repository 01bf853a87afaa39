import { unaryOperator } from './elementwise.ts';

export const abs = unaryOperator({ op: 'Abs', unary: () => Math.abs });
