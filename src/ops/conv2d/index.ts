import type { Conv2dOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { conv2dReference } from './reference.ts';
import { windowOutput } from '../window.ts';

export const conv2d: Operator<Conv2dOperation> = {
  kind: 'conv2d',
  onnx: [],
  lower: () => undefined,
  reference: conv2dReference,
  macs: (operation, tensor) => {
    const [height, width] = windowOutput(operation, tensor(operation.inputs[0]).shape);
    return height * width * operation.weights.length;
  },
};
