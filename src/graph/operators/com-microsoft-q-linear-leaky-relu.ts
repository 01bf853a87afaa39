import { leakyRelu } from './leaky-relu.ts';
import { quantizedOperator } from './quantized.ts';

export const qLinearLeakyRelu = quantizedOperator({
  op: 'com.microsoft.QLinearLeakyRelu',
  of: leakyRelu,
  inputs: 5,
  operands: () => [0],
  result: 3,
  attributes: leakyRelu.attributes,
});
