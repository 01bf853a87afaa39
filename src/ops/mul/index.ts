import type { MulOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerMul } from './lower.ts';
import { mulReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

export const mul: Operator<MulOperation> = {
  kind: 'mul',
  onnx: ['Mul'],
  lower: lowerMul,
  reference: mulReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
