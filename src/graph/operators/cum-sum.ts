import { cumulationOperator } from './cumulation.ts';

export const cumSum = cumulationOperator('CumSum', 11, 0, (total, x) => total + x);
