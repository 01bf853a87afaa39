import { bitwiseOperator } from './truth.ts';

export const bitwiseOr = bitwiseOperator('BitwiseOr', (a, b) => a | b);
