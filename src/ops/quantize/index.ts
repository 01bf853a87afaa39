import type { QuantizeOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { quantizeReference } from './reference.ts';

/** Lowering itself puts it behind a host stage. */
export const quantize: Operator<QuantizeOperation> = {
  kind: 'quantize',
  stage: 'host',
  onnx: [],
  lower: () => undefined,
  reference: quantizeReference,
  macs: () => 0,
};
