import { log } from '../../numerics/elementary.ts';
import { reductionOperator } from './reduction.ts';

export const reduceLogSum = reductionOperator({
  op: 'ReduceLogSum',
  axesSince: 18,
  start: 0,
  fold: (sum, x) => sum + x,
  finish: log,
});
