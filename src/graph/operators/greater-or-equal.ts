import { predicateOperator } from './truth.ts';

export const greaterOrEqual = predicateOperator('GreaterOrEqual', (a, b) => a >= b);
