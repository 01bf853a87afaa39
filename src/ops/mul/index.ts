import { mul as mulRow } from '../../graph/operators/mul.ts';
import type { MulOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerMul } from './lower.ts';
import { mulReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

export const mul: Operator<MulOperation> = {
  kind: 'mul',
  onnx: [mulRow],
  lower: lowerMul,
  reference: mulReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
