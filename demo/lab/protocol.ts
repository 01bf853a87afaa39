/** What the page and its second worker say to each other: everything that needs the float model and ONNX Runtime. */
import type { ProgressEvent } from 'octetjs';
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

/** A convolution or dense layer of the float model. */
export interface WeightedLayer {
  readonly name: string;
  readonly channels: number;
}

/** The weights of one output channel, float and quantized. */
export interface ChannelWeights {
  readonly layer: string;
  readonly channel: number;
  /** How many weights the channel has. */
  readonly count: number;
  /** A histogram of the float weights over [−limit, limit]. */
  readonly counts: Uint32Array;
  readonly limit: number;
  /** Integers −most … most, times this, are what the quantizer rounded the weights to. */
  readonly scale: number;
  readonly most: number;
}

export type OnProgress = (event: ProgressEvent) => void;

export interface LabApi {
  /** Fetches the float model and starts ONNX Runtime on it. */
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
  layers(): Promise<readonly WeightedLayer[]>;
  /** Quantized as `tryBits` has done it last for so many bits; null where it has not. */
  channelWeights(layer: string, channel: number, weightBits: number): Promise<ChannelWeights | null>;
  abort(job: number): void;
}
