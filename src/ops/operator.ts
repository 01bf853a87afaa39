import type { LoweringRule } from '../program/lowering.ts';
import type { Operation, ProgramTensor, TensorBuffer, TensorId } from '../program/program.ts';
import type { GpuKernel } from './gpu-kernel.ts';
import type { WasmKernel } from './wasm-kernel.ts';

/** What the reference implementation of an operator reads and writes. */
export interface ReferenceContext {
  readonly batch: number;
  readonly tensor: (id: TensorId) => ProgramTensor;
  readonly buffer: (id: TensorId) => TensorBuffer;
}

/**
 * All that Octet knows of one operator. Built-in ones are the folders beside this file; `loadModel` takes a
 * user's own (`operators`) through the same door. Members: `onnx` and `lower` (from the QDQ graph), `reference` (the truth), and one kernel a
 * backend, each held to the reference's bytes.
 */
export interface Operator<T extends Operation = Operation> extends LoweringRule {
  /** Name of its folder, its shaders (`shaders/<kind>*.wgsl.ts`) and its tests. */
  readonly kind: T['kind'];
  /** Plain loops. Writes every element of the output, padded lanes included. */
  reference(operation: T, context: ReferenceContext): void;
  /** Where it runs on every backend: on the `device` by default, or on the `host`, by `reference`. */
  readonly stage?: 'device' | 'host';
  /** Multiply-adds for one image; 0 for what only moves or compares. */
  macs(operation: T, tensor: (id: TensorId) => ProgramTensor): number;
  /**
   * Largest magnitude that an int32 sum can reach, whatever the input: lowering proves that it is below 2³¹. Left out where nothing is
   * summed up.
   */
  accumulatorBound?(operation: T, tensor: (id: TensorId) => ProgramTensor): number;
  /** Built-in operators have theirs in webgpu-kernels.ts and wasm-kernels.ts, which are loaded with the backend. */
  readonly webgpu?: GpuKernel<T>;
  readonly wasm?: WasmKernel<T>;
}
