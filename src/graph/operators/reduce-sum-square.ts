import { reductionOperator } from './reduction.ts';

export const reduceSumSquare = reductionOperator({
  op: 'ReduceSumSquare',
  axesSince: 18,
  role: 'computes',
  start: 0,
  fold: (sum, x) => sum + x * x,
  integers: true,
});
