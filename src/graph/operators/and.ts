import { predicateOperator } from './truth.ts';

export const and = predicateOperator('And', (a, b) => a !== 0 && b !== 0);
