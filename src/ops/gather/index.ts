import { gather as gatherRow } from '../../graph/operators/gather.ts';
import { slice } from '../../graph/operators/slice.ts';
import type { GatherOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerGather } from './lower.ts';
import { gatherReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

export const gather: Operator<GatherOperation> = {
  kind: 'gather',
  onnx: [gatherRow, slice],
  lower: lowerGather,
  reference: gatherReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
