import { predicateOperator } from './truth.ts';

export const greater = predicateOperator('Greater', (a, b) => a > b);
