import { cumulationOperator } from './cumulation.ts';

export const cumProd = cumulationOperator('CumProd', 26, 1, (total, x) => total * x);
