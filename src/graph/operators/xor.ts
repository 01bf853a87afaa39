import { predicateOperator } from './truth.ts';

export const xor = predicateOperator('Xor', (a, b) => a !== b);
