import { predicateOperator } from './truth.ts';

export const lessOrEqual = predicateOperator('LessOrEqual', (a, b) => a <= b);
