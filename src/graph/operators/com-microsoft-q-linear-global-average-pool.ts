import { globalAveragePool } from './global-average-pool.ts';
import { quantizedOperator } from './quantized.ts';
import { int } from './signature.ts';

export const qLinearGlobalAveragePool = quantizedOperator({
  op: 'com.microsoft.QLinearGlobalAveragePool',
  of: globalAveragePool,
  inputs: 5,
  operands: () => [0],
  result: 3,
  attributes: { channels_last: int(0) },
  dropped: ['channels_last'],
});
