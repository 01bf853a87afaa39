/** The seam between the public `Model` and a backend: integers in, integers out. */
import type { TensorBuffer, TensorId } from '../program/program.ts';
import type { AsyncOptions } from '../progress.ts';

export type BackendName = 'webgpu' | 'wasm' | 'reference';

/** Input of a run in the program's own terms. */
export type SessionInput =
  /** Quantized already, in the tensor's layout (program.ts). */
  | { readonly kind: 'quantized'; readonly data: Int8Array }
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

/** One backend's hold on one program. Runs may overlap. */
export interface Session {
  readonly backend: BackendName;
  run(inputs: ReadonlyMap<TensorId, SessionInput>, options: SessionRunOptions): Promise<SessionResult>;
  /**
   * Milliseconds of each of the program's operations for the whole batch, one sample a repetition; absent where a backend cannot
   * time them apart.
   */
  profile?(
    batch: number,
    repetitions: number,
    options?: AsyncOptions,
  ): Promise<readonly (readonly number[])[]>;
  /** Frees everything, idempotent; runs in flight reject with a DeviceError. */
  dispose(): void;
  [Symbol.dispose](): void;
}
