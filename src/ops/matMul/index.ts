import { matMul as matMulRow } from '../../graph/operators/mat-mul.ts';
import type { MatMulOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { largestSum, lowerMatMul, operandLayout, takesMatMul } from './lower.ts';
import { matMulReference } from './reference.ts';

export const matMul: Operator<MatMulOperation> = {
  kind: 'matMul',
  onnx: [matMulRow],
  takes: takesMatMul,
  layout: (_, index, shape) => operandLayout(shape, index),
  lower: lowerMatMul,
  reference: matMulReference,
  macs({ inputs, output }, tensor) {
    const [rows, height, width] = tensor(output).image;
    return rows * height * width * tensor(inputs[0]).image[2];
  },
  accumulatorBound: ({ inputs }, tensor) => largestSum(tensor(inputs[0]).image[2]),
};
