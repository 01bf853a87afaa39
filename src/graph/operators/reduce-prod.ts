import { reductionOperator } from './reduction.ts';

export const reduceProd = reductionOperator({
  op: 'ReduceProd',
  axesSince: 18,
  start: 1,
  fold: (product, x) => product * x,
  integers: true,
});
