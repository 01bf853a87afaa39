import type { LoadMeasurement } from './page/contender.ts';
import type { ComputeLimit, Contender } from './contenders/contender.ts';
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
  /** GPU time of one call, in a run of its own; null where there is no GPU, or a call is too slow to be repeated for it. */
  readonly gpuMs: number | null;
  /** Of the register peak of the instructions that the layers use, 0 to 1: the time at that peak over the median. */
  readonly shareOfPeak?: number;
}

/** A batch size at which an engine was not timed, and why. */
export interface LeftOut {
  readonly batch: number;
  readonly reason: string;
}

export interface ContenderResult {
  readonly contender: Contender;
  /** Set where the engine could not run the model, or gave other answers: why. It is not timed then. */
  readonly failed?: string;
  readonly load?: LoadMeasurement;
  /** Scripts and WebAssembly of the engine, gzipped. */
  readonly codeBytes?: number;
  /** Highest sum of live GPU buffers and textures up to the first runs at batch 1; null without a GPU. */
  readonly peakGpuBytes?: number | null;
  /** What a process of its own has grown by since before it read the model, at its highest: at the largest batch, that is. */
  readonly peakBytes?: number;
  /** Of the checked images, how many have the float model's top-1 (by onnxruntime-web, WASM). */
  readonly agreement?: { readonly same: number; readonly of: number };
  readonly batches?: readonly BatchMeasurement[];
  readonly leftOut?: readonly LeftOut[];
  /** Where the engine tells how its layers run. */
  readonly limit?: Pick<ComputeLimit, 'peaks' | 'layers'>;
}

export interface BenchResult {
  readonly context: BenchContext;
  readonly results: readonly ContenderResult[];
}
