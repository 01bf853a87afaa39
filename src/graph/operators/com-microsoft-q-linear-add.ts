import { add } from './add.ts';
import { quantizedOperator } from './quantized.ts';

export const qLinearAdd = quantizedOperator({
  op: 'com.microsoft.QLinearAdd',
  of: add,
  inputs: 8,
  operands: () => [0, 3],
  result: 6,
});
