import type { ConstantOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { constantReference } from './reference.ts';

/** Lowering itself makes it of constants that stand where activations do. */
export const constant: Operator<ConstantOperation> = {
  kind: 'constant',
  onnx: [],
  lower: () => undefined,
  reference: constantReference,
  macs: () => 0,
};
