import { evaluateGlobalPool, largestOf, globalPoolShape } from './images.ts';
import { defineOperator } from './operator.ts';

export const globalMaxPool = defineOperator({
  op: 'GlobalMaxPool',
  inputs: [1, 1],
  role: 'selects',
  homogeneous: true,
  shape: globalPoolShape,
  evaluate: (call) => evaluateGlobalPool(call, largestOf),
});
