import { bitwiseOperator } from './truth.ts';

export const bitwiseXor = bitwiseOperator('BitwiseXor', (a, b) => a ^ b);
