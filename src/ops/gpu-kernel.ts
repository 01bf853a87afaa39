/** How an operator runs on WebGPU, as plain data: no device object here, so that plans print and test without one. */
import type { ArithmeticFamily } from '../schedule/execution-plan.ts';
import type { AdapterClass } from '../schedule/session.ts';
import type { Operation, ProgramTensor, TensorId } from '../program/program.ts';

export type { ArithmeticFamily };

/** What kernels may use on the device at hand. */
export interface GpuCapabilities {
  /** Chooses the table of default variants. */
  readonly adapterClass: AdapterClass;
  /** The packed dot instruction is there and passed its self-test. */
  readonly packedDot: boolean;
  /** Subgroup size where the feature is there and the size is fixed, else 0. */
  readonly subgroupSize: number;
  readonly limits: {
    readonly maxComputeWorkgroupStorageSize: number;
    readonly maxComputeInvocationsPerWorkgroup: number;
    readonly maxComputeWorkgroupsPerDimension: number;
    readonly maxComputeWorkgroupSizeX: number;
    readonly maxStorageBufferBindingSize: number;
  };
}

/** A buffer that a dispatch binds. Bindings are numbered in order, all in group 0. */
export type GpuBinding =
  | { readonly kind: 'tensor'; readonly tensor: TensorId; readonly access: 'read' | 'write' }
  /** Index into `GpuVariant.constants`, read-only. */
  | { readonly kind: 'constant'; readonly index: number }
  /** Index into `GpuVariant.workspaces`. */
  | { readonly kind: 'workspace'; readonly index: number; readonly access: 'read' | 'write' };

export interface GpuDispatch {
  readonly label: string;
  /** Final WGSL text, entry point `main`. Equal texts share one pipeline. */
  readonly code: string;
  readonly bindings: readonly GpuBinding[];
  readonly workgroups: readonly [x: number, y: number, z: number];
}

/** Prepacked weights, biases, multipliers; made lazily, since the tuner asks for few of them. Shared across batch sizes by `key`. */
export interface GpuConstant {
  /** The operation's own, or with `of` that object's. */
  readonly key: string;
  /** What `data` depends on alone, beside what `key` says: operations that share it, also of other programs, share the constant. */
  readonly of?: object;
  readonly data: () => Uint32Array | Int32Array | Float32Array;
}

/** One way to run an operation at one batch size. */
export interface GpuVariant {
  /** Stable name, e.g. `tiled-64x64x32-4x4-dot`: the tuner's memory and the tests speak of it. */
  readonly name: string;
  readonly family: ArithmeticFamily;
  readonly dispatches: readonly GpuDispatch[];
  readonly constants: readonly GpuConstant[];
  /** Bytes of each scratch buffer that lives only between this variant's dispatches. */
  readonly workspaces: readonly number[];
}

export interface GpuKernel<T extends Operation = Operation> {
  /** Variants that are right for this operation on this device, the default first. Never empty for an operation that lowering made. */
  variants(
    operation: T,
    tensor: (id: TensorId) => ProgramTensor,
    batch: number,
    capabilities: GpuCapabilities,
  ): readonly GpuVariant[];
  /** What two operations must share for one tuning result to serve both, e.g. `conv2d 3x3s1 8x8x256→256`. */
  tuningKey(operation: T, tensor: (id: TensorId) => ProgramTensor, batch: number): string;
}
