import { exp, log } from '../../numerics/elementary.ts';
import { reductionOperator } from './reduction.ts';

export const reduceLogSumExp = reductionOperator({
  op: 'ReduceLogSumExp',
  axesSince: 18,
  start: 0,
  needsLargest: true,
  /** Relative to the largest, so that no exponential overflows. */
  fold: (sum, x, largest) => sum + (x === largest ? 1 : exp(x - largest)),
  finish: (sum, _, largest) => (Number.isFinite(largest) ? largest + log(sum) : largest),
});
