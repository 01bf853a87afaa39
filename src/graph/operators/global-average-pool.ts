import { evaluateGlobalPool, sumOf, globalPoolShape } from './images.ts';
import { defineOperator } from './operator.ts';

export const globalAveragePool = defineOperator({
  op: 'GlobalAveragePool',
  inputs: [1, 1],
  role: 'computes',
  homogeneous: true,
  shape: globalPoolShape,
  /** The sum in float64, in order of rows and columns, divided and rounded once. */
  evaluate: (call) => evaluateGlobalPool(call, (taps) => sumOf(taps) / taps.length),
});
