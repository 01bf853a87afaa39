import type { LoadMeasurement } from './page/contender.ts';
import type { Contender } from './contenders/contender.ts';
import type { Summary } from './statistics.ts';

/** Where and with what a run was measured. */
export interface BenchContext {
  readonly date: string;
  readonly octet: string;
  readonly commit: string;
  /** Browser or runtime, with its version. */
  readonly engine: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly adapter: Readonly<Record<string, string>>;
  readonly libraries: Readonly<Record<string, string>>;
  readonly seed: number;
}

export interface BatchMeasurement {
  readonly batch: number;
  /** End to end, pixels to logits, a call. */
  readonly latencyMs: Summary;
  readonly gpuMs: number | null;
}

export interface ContenderResult {
  readonly contender: Contender;
  /** Set where the engine could not run the model, and why; nothing else is set then. */
  readonly failed?: string;
  readonly load?: LoadMeasurement;
  readonly peakGpuBytes?: number | null;
  /** Of the checked images, how many have the float model's top-1 (by onnxruntime-web, WASM). */
  readonly agreement?: { readonly same: number; readonly of: number };
  readonly batches?: readonly BatchMeasurement[];
}

export interface BenchResult {
  readonly context: BenchContext;
  readonly results: readonly ContenderResult[];
}
