import { quantizedOperator } from './quantized.ts';
import { int, required } from './signature.ts';
import { softmax } from './softmax.ts';

export const qLinearSoftmax = quantizedOperator({
  op: 'com.microsoft.QLinearSoftmax',
  of: softmax,
  inputs: 5,
  operands: () => [0],
  result: 3,
  // Of which opset's Softmax it is: before 13, all axes from `axis` on are normalized together.
  attributes: { axis: softmax.attributes.axis, opset: required(int()) },
  dropped: ['opset'],
});
