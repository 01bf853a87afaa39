import { gemm } from './gemm.ts';
import { quantizedOperator } from './quantized.ts';

const { alpha, transA, transB } = gemm.attributes;

export const qGemm = quantizedOperator({
  op: 'com.microsoft.QGemm',
  of: gemm,
  inputs: 9,
  operands: () => [0, 3],
  result: 7,
  bias: 6,
  attributes: { alpha, transA, transB },
  axis: (node) => (gemm.number(node, 'transB') === 0 ? 1 : 0),
});
