import { concat } from './concat.ts';
import { quantizedOperator } from './quantized.ts';

export const qLinearConcat = quantizedOperator({
  op: 'com.microsoft.QLinearConcat',
  of: concat,
  inputs: Infinity,
  operands: ({ inputs }) => Array.from({ length: Math.floor((inputs.length - 2) / 3) }, (_, i) => 2 + 3 * i),
  result: 0,
  attributes: concat.attributes,
});
