import { binaryOperator } from './elementwise.ts';

export const sub = binaryOperator({ op: 'Sub', binary: (a, b) => a - b, integer: (a, b) => a - b });
