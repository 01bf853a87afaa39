import { argOperator } from './arg-extreme.ts';

export const argMin = argOperator('ArgMin', (x, best) => x < best);
