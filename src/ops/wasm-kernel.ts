/** How an operator runs on the WebAssembly backend, as plain data. */
import type { Operation, ProgramTensor, TensorId } from '../program/program.ts';

/**
 * For which operands `i32x4.relaxed_dot_i8x16_i7x16_add_s` is exact in the engine at hand, found by self-test (src/wasm/relaxed.ts). Its
 * first operand is any int8; its second:
 *
 * - `none`: the engine lacks the instruction, or it is wrong
 * - `i7`: 0…127, what the specification promises
 * - `u8`: 0…255 (x86 with VNNI)
 * - `i8`: −128…127 (Arm with dot products)
 */
export type RelaxedDot = 'none' | 'i7' | 'u8' | 'i8';

/** What kernels may use in the engine at hand. */
export interface WasmCapabilities {
  readonly relaxedDot: RelaxedDot;
}

/** Smallest and largest value that a tensor's elements can have, padded lanes included. */
export interface ValueRange {
  readonly lo: number;
  readonly hi: number;
}

/** An argument of an exported kernel function: an address resolved by the memory plan, or a number. */
export type WasmArgument =
  | { readonly kind: 'tensor'; readonly tensor: TensorId }
  /** Index into `WasmVariant.constants`. */
  | { readonly kind: 'constant'; readonly index: number }
  /** Index into `WasmVariant.workspaces`: memory that all threads share and that lives for this variant's calls. */
  | { readonly kind: 'workspace'; readonly index: number }
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

export type WasmConstantData = Int8Array | Int16Array | Int32Array | Uint8Array | Uint32Array;

/**
 * How the threads pack a constant, where a kernel does (src/wasm/assembly/pack.ts): the bytes that `data` gives, in a fraction of the time. The
 * kernel is called with the addresses of the source and of the constant, then `args`.
 */
export interface WasmPacking {
  readonly export: string;
  /** Rows of weights, one an output channel. */
  readonly source: Int8Array;
  readonly rowBytes: number;
  /** Rows of a unit of work. */
  readonly unitRows: number;
  /** Bytes from where one unit's first row goes to where the next one's does. */
  readonly unitBytes: number;
  /** Of the constant. */
  readonly bytes: number;
  /** What the kernel takes between the number of rows and the range of units. */
  readonly args: readonly WasmArgument[];
  readonly scratchBytes: number;
}

/** Prepacked weights, tables, shapes; made lazily. Shared across batch sizes by `key`. */
export interface WasmConstant {
  /** The operation's own, or with `of` that object's. */
  readonly key: string;
  /** What `data` depends on alone, beside what `key` says: operations that share it share the constant. */
  readonly of?: object | undefined;
  readonly data: () => WasmConstantData;
  readonly packing?: WasmPacking | undefined;
}

/** One way to run an operation at one batch size: calls in order, a barrier after each. */
export interface WasmVariant {
  readonly name: string;
  readonly calls: readonly WasmCall[];
  readonly constants: readonly WasmConstant[];
  /** Bytes of each workspace. */
  readonly workspaces: readonly number[];
}

export interface WasmKernel<T extends Operation = Operation> {
  /** Variants that are right for this operation, the default first. */
  variants(
    operation: T,
    tensor: (id: TensorId) => ProgramTensor,
    batch: number,
    capabilities: WasmCapabilities,
    range: (id: TensorId) => ValueRange,
  ): readonly WasmVariant[];
  /** Range of the output, where it is narrower than int8. */
  outputRange?(operation: T, range: (id: TensorId) => ValueRange): ValueRange;
}
