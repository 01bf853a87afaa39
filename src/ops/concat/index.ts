import type { ConcatOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { concatReference } from './reference.ts';

export const concat: Operator<ConcatOperation> = {
  kind: 'concat',
  onnx: [],
  lower: () => undefined,
  reference: concatReference,
  macs: () => 0,
};
