import { predicateOperator } from './truth.ts';

export const or = predicateOperator('Or', (a, b) => a !== 0 || b !== 0);
