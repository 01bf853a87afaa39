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

export interface LabelledPictures {
  readonly data: Uint8Array;
  readonly labels: readonly number[];
}

/** What becomes of a node of a float model. */
export interface NodeFate {
  readonly name: string;
  readonly op: string;
  readonly shape: readonly (number | string)[];
  readonly macs: number;
  /** Why it stays in float, on the CPU; null where it becomes integers. */
  readonly reason: string | null;
}

export interface FloatDescription {
  readonly input: { readonly width: number; readonly height: number };
  readonly classes: number;
  readonly labels: readonly string[];
  /** Whether the file says how pixels are normalized. */
  readonly saysNormalization: boolean;
  readonly parameters: number;
  readonly macs: number;
  readonly nodes: readonly NodeFate[];
  /** Why Octet cannot run it: empty where it can. */
  readonly problems: readonly string[];
}

export interface OwnResult {
  /** The int8 model: a QDQ ONNX file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of the constants as float32. */
  readonly floatBytes: number;
  /** Pictures on which both models have the same best class. */
  readonly same: number;
  readonly of: number;
  /** Of the output, in decibels. */
  readonly sqnr: number;
  /** Values inside, worst first. */
  readonly layers: readonly { readonly name: string; readonly op: string; readonly sqnr: number }[];
}

/** A picture that a visitor quantizes on. */
export interface NamedPixels {
  readonly title: string;
  readonly pixels: Pixels;
}

export type OnProgress = (event: ProgressEvent) => void;

export interface LabApi {
  /** Fetches or reads a float model and starts ONNX Runtime on it. Takes the place of the one before. */
  open(job: number, source: string | File, onProgress: OnProgress): Promise<FloatDescription>;
  /** Decodes picture files to what the model sees. */
  prepare(file: File): Promise<Pixels>;
  /** As many of the calibration pictures that come with the page. */
  samplePictures(count: number): Promise<readonly Pixels[]>;
  /** Quantizes the float model on `pictures`, and tells how near the result is to it on the same. */
  quantize(
    job: number,
    metadata: Readonly<Record<string, string>>,
    pictures: readonly NamedPixels[],
    onProgress: OnProgress,
  ): Promise<OwnResult>;
  /**
   * The report that `octet inspect --float --images --html` writes of what `quantize` made, on the same pictures: an HTML document.
   * @param target name of a device profile
   */
  inspect(job: number, int8: File, target: string, onProgress: OnProgress): Promise<string>;
  classify(pixels: Pixels): Promise<FloatAnswer>;
  classifyAll(
    job: number,
    pictures: { readonly data: Uint8Array; readonly count: number },
    onPredictions: OnPredictions,
  ): Promise<void>;
  /**
   * Quantizes the float model to so many bits and classifies `pictures` with the result; where they are null, those that it was
   * quantized on, whose right answers are the float model's. With `reconstruct`, weights are rounded by what their layers compute.
   */
  tryBits(
    job: number,
    bits: { readonly weights: number; readonly activations: number; readonly reconstruct: boolean },
    pictures: LabelledPictures | null,
    onProgress: OnProgress,
  ): Promise<BitsResult>;
  layers(): Promise<readonly WeightedLayer[]>;
  /** Quantized as `tryBits` has done it last for so many bits; null where it has not. */
  channelWeights(layer: string, channel: number, weightBits: number): Promise<ChannelWeights | null>;
  abort(job: number): void;
}
