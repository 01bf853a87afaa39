import { conv } from '../../graph/operators/conv.ts';
import { gemm } from '../../graph/operators/gemm.ts';
import { matMul } from '../../graph/operators/mat-mul.ts';
import type { Conv2dOperation } from '../../program/program.ts';
import { weightMagnitudes } from '../../program/weights.ts';
import type { Operator } from '../operator.ts';
import { lowerConv2d, rowLayout } from './lower.ts';
import { conv2dReference } from './reference.ts';
import { windowOutput } from '../window.ts';

export const conv2d: Operator<Conv2dOperation> = {
  kind: 'conv2d',
  onnx: [conv, gemm, matMul],
  layout: rowLayout,
  lower: lowerConv2d,
  reference: conv2dReference,
  macs: (operation, tensor) => {
    const [height, width] = windowOutput(operation, tensor(operation.inputs[0]).image);
    return height * width * operation.weights.outChannels * operation.weights.k;
  },
  accumulatorBound: ({ weights, bias }) => {
    const magnitudes = weightMagnitudes(weights);
    return bias.reduce((most, b, o) => Math.max(most, Math.abs(b) + 128 * magnitudes[o]), 0);
  },
};
