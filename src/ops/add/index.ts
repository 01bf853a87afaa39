import type { AddOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { addReference } from './reference.ts';

export const add: Operator<AddOperation> = {
  kind: 'add',
  onnx: [],
  lower: () => undefined,
  reference: addReference,
  macs: () => 0,
};
