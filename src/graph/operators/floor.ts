import { unaryOperator } from './elementwise.ts';

export const floor = unaryOperator({ op: 'Floor', unary: () => Math.floor });
