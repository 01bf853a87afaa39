import type { AveragePool2dOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { averagePool2dReference } from './reference.ts';

export const averagePool2d: Operator<AveragePool2dOperation> = {
  kind: 'averagePool2d',
  onnx: [],
  lower: () => undefined,
  reference: averagePool2dReference,
  macs: () => 0,
};
