import { reductionOperator } from './reduction.ts';

export const reduceMin = reductionOperator({
  op: 'ReduceMin',
  axesSince: 18,
  role: 'selects',
  start: Infinity,
  fold: (smallest, x) => Math.min(smallest, x),
  integers: true,
});
