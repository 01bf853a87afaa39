/** How an operator runs on the WebAssembly backend, as plain data. */
import type { Operation, ProgramTensor, TensorId } from '../program/program.ts';

/** What kernels may use in the engine at hand. */
export interface WasmCapabilities {
  readonly relaxedSimd: boolean;
}

/** An argument of an exported kernel function: an address resolved by the memory plan, or a number. */
export type WasmArgument =
  | { readonly kind: 'tensor'; readonly tensor: TensorId }
  | { readonly kind: 'constant'; readonly index: number }
  /** Scratch memory of the calling thread, `WasmCall.scratchBytes` long. */
  | { readonly kind: 'scratch' }
  | { readonly kind: 'number'; readonly value: number }
  /** First unit of work of the calling thread, and one past its last (units out of `WasmCall.units`). */
  | { readonly kind: 'unitStart' }
  | { readonly kind: 'unitEnd' };

export interface WasmCall {
  /** Name of an export of the AssemblyScript module. */
  readonly export: string;
  readonly args: readonly WasmArgument[];
  /** Independent units of work that threads divide among themselves. */
  readonly units: number;
  readonly scratchBytes: number;
}

/** One way to run an operation at one batch size: calls in order, a barrier after each. */
export interface WasmVariant {
  readonly name: string;
  readonly calls: readonly WasmCall[];
  readonly constants: readonly {
    readonly key: string;
    readonly data: () => Int8Array | Int16Array | Int32Array | Uint8Array | Uint32Array;
  }[];
}

export interface WasmKernel<T extends Operation = Operation> {
  /** Variants that are right for this operation, the default first. */
  variants(
    operation: T,
    tensor: (id: TensorId) => ProgramTensor,
    batch: number,
    capabilities: WasmCapabilities,
  ): readonly WasmVariant[];
}
