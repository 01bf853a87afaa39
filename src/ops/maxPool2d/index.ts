import type { MaxPool2dOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { maxPool2dReference } from './reference.ts';

export const maxPool2d: Operator<MaxPool2dOperation> = {
  kind: 'maxPool2d',
  onnx: [],
  lower: () => undefined,
  reference: maxPool2dReference,
  macs: () => 0,
};
