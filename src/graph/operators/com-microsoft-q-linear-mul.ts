import { mul } from './mul.ts';
import { quantizedOperator } from './quantized.ts';

export const qLinearMul = quantizedOperator({
  op: 'com.microsoft.QLinearMul',
  of: mul,
  inputs: 8,
  operands: () => [0, 3],
  result: 6,
});
