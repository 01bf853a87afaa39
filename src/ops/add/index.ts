import { add as addRow } from '../../graph/operators/add.ts';
import type { AddOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { lowerAdd } from './lower.ts';
import { addReference } from './reference.ts';
import { wasmKernel } from './wasm.ts';
import { webgpuKernel } from './webgpu.ts';

export const add: Operator<AddOperation> = {
  kind: 'add',
  onnx: [addRow],
  lower: lowerAdd,
  reference: addReference,
  macs: () => 0,
  wasm: wasmKernel,
  webgpu: webgpuKernel,
};
