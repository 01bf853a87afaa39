import { reductionOperator } from './reduction.ts';

export const reduceL2 = reductionOperator({
  op: 'ReduceL2',
  axesSince: 18,
  role: 'computes',
  start: 0,
  fold: (sum, x) => sum + x * x,
  finish: Math.sqrt,
});
