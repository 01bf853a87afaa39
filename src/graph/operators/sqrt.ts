import { unaryOperator } from './elementwise.ts';

export const sqrt = unaryOperator({ op: 'Sqrt', unary: () => Math.sqrt });
