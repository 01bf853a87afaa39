import { averagePool } from './average-pool.ts';
import { poolWindow } from './images.ts';
import { quantizedOperator } from './quantized.ts';
import { int } from './signature.ts';

export const qLinearAveragePool = quantizedOperator({
  op: 'com.microsoft.QLinearAveragePool',
  of: averagePool,
  inputs: 5,
  operands: () => [0],
  result: 3,
  attributes: { ...poolWindow, count_include_pad: int(0), channels_last: int(0) },
  dropped: ['channels_last'],
});
