import { reductionOperator } from './reduction.ts';

export const reduceMax = reductionOperator({
  op: 'ReduceMax',
  axesSince: 18,
  role: 'selects',
  start: -Infinity,
  fold: (largest, x) => Math.max(largest, x),
  integers: true,
});
