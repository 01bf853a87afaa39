import { predicateOperator } from './truth.ts';

export const equal = predicateOperator('Equal', (a, b) => a === b);
