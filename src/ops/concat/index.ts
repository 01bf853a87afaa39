import { concat as concatRow } from '../../graph/operators/concat.ts';
import type { ConcatOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerConcat } from './lower.ts';
import { concatReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

export const concat: Operator<ConcatOperation> = {
  kind: 'concat',
  onnx: [concatRow],
  lower: lowerConcat,
  reference: concatReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
