import { bitwiseOperator } from './truth.ts';

export const bitwiseAnd = bitwiseOperator('BitwiseAnd', (a, b) => a & b);
