import { argOperator } from './arg-extreme.ts';

export const argMax = argOperator('ArgMax', (x, best) => x > best);
