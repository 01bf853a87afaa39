import type { ConstantOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { constantReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

/** Lowering itself makes it of constants that stand where activations do. */
export const constant: Operator<ConstantOperation> = {
  kind: 'constant',
  onnx: [],
  lower: () => undefined,
  reference: constantReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
