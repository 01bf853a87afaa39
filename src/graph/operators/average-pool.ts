import { poolShape, poolWindow } from './images.ts';
import { defineOperator } from './operator.ts';
import { int, ints, since } from './signature.ts';

export const averagePool = defineOperator({
  op: 'AveragePool',
  inputs: [1, 1],
  attributes: { ...poolWindow, count_include_pad: int(0), dilations: since(19, ints()) },
  role: 'computes',
  homogeneous: true,
  shape: poolShape,
});
