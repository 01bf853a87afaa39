/** What the page and its second worker say to each other: everything that needs the float model and ONNX Runtime. */
import type { ProgressEvent } from 'octet';
import type { Guess, OnPredictions, Pixels } from '../engine/protocol.ts';

export interface FloatAnswer {
  readonly guesses: readonly Guess[];
  readonly ms: number;
}

export interface BitsResult {
  readonly weightBits: number;
  readonly activationBits: number;
  readonly correct: number;
  readonly total: number;
  readonly quantizeMs: number;
}

export interface FloatWeights {
  /** Name of the convolution or dense layer. */
  readonly layer: string;
  /** A histogram of its weights over [−limit, limit]. */
  readonly counts: Uint32Array;
  readonly limit: number;
}

export type OnProgress = (event: ProgressEvent) => void;

export interface LabApi {
  /** Fetches the float model and starts ONNX Runtime on it, once. */
  open(job: number, onProgress: OnProgress): Promise<void>;
  classify(pixels: Pixels): Promise<FloatAnswer>;
  classifyAll(
    job: number,
    pictures: { readonly data: Uint8Array; readonly count: number },
    onPredictions: OnPredictions,
  ): Promise<void>;
  /** Quantizes the float model to so many bits and classifies `pictures` with the result. */
  tryBits(
    job: number,
    bits: { readonly weights: number; readonly activations: number },
    pictures: { readonly data: Uint8Array; readonly labels: readonly number[] },
    onProgress: OnProgress,
  ): Promise<BitsResult>;
  floatWeights(): Promise<readonly FloatWeights[]>;
  abort(job: number): void;
}
