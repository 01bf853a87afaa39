import { predicateOperator } from './truth.ts';

export const less = predicateOperator('Less', (a, b) => a < b);
