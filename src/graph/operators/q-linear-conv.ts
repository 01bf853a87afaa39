import { conv } from './conv.ts';
import { quantizedOperator } from './quantized.ts';

export const qLinearConv = quantizedOperator({
  op: 'QLinearConv',
  since: 10,
  of: conv,
  inputs: 9,
  operands: () => [0, 3],
  result: 6,
  bias: 8,
  attributes: conv.attributes,
  axis: () => 0,
});
