import { reductionOperator } from './reduction.ts';

export const reduceL1 = reductionOperator({
  op: 'ReduceL1',
  axesSince: 18,
  role: 'computes',
  start: 0,
  fold: (sum, x) => sum + Math.abs(x),
  integers: true,
});
