import { onnxOperators } from '../../graph/operators/registry.ts';
import type { LookupOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerPointwise } from '../../program/pointwise.ts';
import { lookupReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

export const lookup: Operator<LookupOperation> = {
  kind: 'lookup',
  onnx: [...onnxOperators.values()].filter(({ role }) => role === 'pointwise' || role === 'clamps'),
  lower: lowerPointwise,
  reference: lookupReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
