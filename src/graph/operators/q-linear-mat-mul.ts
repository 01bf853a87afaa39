import { matMul } from './mat-mul.ts';
import { quantizedOperator } from './quantized.ts';

export const qLinearMatMul = quantizedOperator({
  op: 'QLinearMatMul',
  since: 10,
  of: matMul,
  inputs: 8,
  operands: () => [0, 3],
  result: 6,
  axis: (_, rank) => rank - 1,
});
