import { binaryOperator } from './elementwise.ts';

export const pRelu = binaryOperator({ op: 'PRelu', binary: (a, b) => (a < 0 ? a * b : a) });
