import { quantizedOperator } from './quantized.ts';
import { sigmoid } from './sigmoid.ts';

export const qLinearSigmoid = quantizedOperator({
  op: 'com.microsoft.QLinearSigmoid',
  of: sigmoid,
  inputs: 5,
  operands: () => [0],
  result: 3,
});
