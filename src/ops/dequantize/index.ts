import type { DequantizeOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { dequantizeReference } from './reference.ts';

/** Lowering itself puts it before a host stage. */
export const dequantize: Operator<DequantizeOperation> = {
  kind: 'dequantize',
  stage: 'host',
  onnx: [],
  lower: () => undefined,
  reference: dequantizeReference,
  macs: () => 0,
};
