import type { LookupOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lookupReference } from './reference.ts';

export const lookup: Operator<LookupOperation> = {
  kind: 'lookup',
  onnx: [],
  lower: () => undefined,
  reference: lookupReference,
  macs: () => 0,
};
