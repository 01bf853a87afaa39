import { reductionOperator } from './reduction.ts';

export const reduceSum = reductionOperator({
  op: 'ReduceSum',
  axesSince: 13,
  role: 'computes',
  start: 0,
  fold: (sum, x) => sum + x,
  integers: true,
});
