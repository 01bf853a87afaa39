import { evaluateGlobalPool, globalPoolShape } from './images.ts';
import { normOf } from './lp-pool.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';

export const globalLpPool = defineOperator({
  op: 'GlobalLpPool',
  inputs: [1, 1],
  attributes: { p: int(2) },
  role: 'none',
  shape: globalPoolShape,
  /** The p-norm of each channel in float64, in order of rows and columns, rounded once. */
  evaluate(call) {
    const p = this.number(call.node, 'p');
    return evaluateGlobalPool(call, (taps) => normOf(taps, p));
  },
});
