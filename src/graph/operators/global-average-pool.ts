import { globalPoolShape } from './images.ts';
import { defineOperator } from './operator.ts';

export const globalAveragePool = defineOperator({
  op: 'GlobalAveragePool',
  inputs: [1, 1],
  role: 'computes',
  homogeneous: true,
  shape: globalPoolShape,
});
