import { unaryOperator } from './elementwise.ts';

export const ceil = unaryOperator({ op: 'Ceil', unary: () => Math.ceil });
