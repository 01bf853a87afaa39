/** The seam between the public `Model` and a backend: integers in, integers out, but where host stages stand at the ends. */
import type { IntegerProgram, TensorBuffer, TensorId } from '../program/program.ts';
import type { AsyncOptions } from '../progress.ts';
import type { ArithmeticFamily, ExecutionPlan } from './execution-plan.ts';

export type BackendName = 'webgpu' | 'wasm' | 'reference';

/** Input of a run in the program's own terms. */
export type SessionInput =
  /** Quantized already, in the tensor's layout (program.ts). */
  | { readonly kind: 'quantized'; readonly data: Int8Array }
  /** Real values of a float32 tensor, row-major. */
  | { readonly kind: 'reals'; readonly data: Float32Array }
  /**
   * uint8 pixels, [batch, H, W, C] without padding, quantized by `table[c·256 + p]` (program/input.ts): on the GPU where there is
   * one. `pixels` may be a GPUBuffer of the same bytes (length rounded up to 4) on the webgpu backend.
   */
  | { readonly kind: 'pixels'; readonly pixels: Uint8Array | GPUBuffer; readonly table: Int8Array };

export interface SessionRunOptions {
  readonly batch: number;
  readonly signal?: AbortSignal;
  /** Also read back these tensors (any of the program's), for comparison and pictures. */
  readonly tensors?: readonly TensorId[];
}

/** Times of one run in milliseconds; a backend fills what it can tell apart. */
export interface RunTimings {
  readonly uploadMs: number;
  readonly computeMs: number;
  readonly readbackMs: number;
}

export interface SessionResult {
  /** Outputs and asked-for tensors, whole buffers in the program's layout, owned by the caller. */
  readonly tensors: ReadonlyMap<TensorId, TensorBuffer>;
  readonly timings: RunTimings;
}

export interface SessionPlan {
  readonly plan: ExecutionPlan;
  /** Bytes of weights and tables. */
  readonly constantBytes: number;
}

export interface SessionProfile {
  /** How times were taken: GPU timestamps, the clock around many repetitions, or around each operation. */
  readonly method: 'timestamp-query' | 'repetition' | 'clock';
  /** Milliseconds of each of the program's operations for the whole batch, one sample a repetition. */
  readonly samples: readonly (readonly number[])[];
  /** GMAC/s of each arithmetic family that the plan uses, registers only; empty where it is not measured. */
  readonly peak: Readonly<Partial<Record<ArithmeticFamily, number>>>;
}

export interface SessionGpuResult {
  /** Of the outputs, in the program's layout; the caller destroys them. */
  readonly buffers: ReadonlyMap<TensorId, GPUBuffer>;
  readonly timings: RunTimings;
}

export type AdapterClass = 'software' | 'integrated' | 'discrete' | 'apple' | 'unknown';

/** What is known of the device that runs a model. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly adapterClass: AdapterClass;
  readonly features: readonly string[];
  /** Whether the packed dot instruction is used, and why (not). */
  readonly packedDot: { readonly usable: boolean; readonly reason: string };
}

/**
 * One backend, opened: what sessions of several programs share, which is a device and its compiled kernels, or threads and a memory, and
 * the packed weights that programs have in common.
 */
export interface Backend {
  readonly name: BackendName;
  /** Null on backends without one. */
  readonly adapter: AdapterDescription | null;
  /** That a run is spread over; null where that is not the backend's to say. */
  readonly threads: number | null;
  /** A session of `program`, with nothing prepared yet. */
  session(program: IntegerProgram): Session;
  /** Frees what its sessions share, once they are disposed of. Idempotent. */
  dispose(): void;
}

/** One backend's hold on one program. Calls may overlap. */
export interface Session {
  readonly backend: BackendName;
  /** Null on backends without one. */
  readonly adapter: AdapterDescription | null;
  /** That a run is spread over; null where that is not the backend's to say. */
  readonly threads: number | null;
  /** Plans these batch sizes, which their first run would do otherwise, packs weights and compiles kernels. */
  prepare(batches: readonly number[], options?: AsyncOptions): Promise<void>;
  run(inputs: ReadonlyMap<TensorId, SessionInput>, options: SessionRunOptions): Promise<SessionResult>;
  /**
   * As `run`, but outputs stay in new GPU buffers. Resolves once the work is submitted. Only there on a device of the caller's.
   */
  readonly runOnGpu?: (
    inputs: ReadonlyMap<TensorId, SessionInput>,
    options: Pick<SessionRunOptions, 'batch' | 'signal'>,
  ) => Promise<SessionGpuResult>;
  /** The plan that a run of this batch size follows (of its largest part, where the device's limits split it). */
  plan(batch: number): Promise<SessionPlan>;
  profile(batch: number, repetitions: number, options?: AsyncOptions): Promise<SessionProfile>;
  /** Frees everything, idempotent; runs in flight reject with a DeviceError. */
  dispose(): void;
  [Symbol.dispose](): void;
}
