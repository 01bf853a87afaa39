import type { LookupOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerPointwise, pointwiseOperators } from '../../program/pointwise.ts';
import { lookupReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

export const lookup: Operator<LookupOperation> = {
  kind: 'lookup',
  onnx: [...pointwiseOperators],
  lower: lowerPointwise,
  reference: lookupReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
