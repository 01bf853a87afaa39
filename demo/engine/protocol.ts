/**
 * What the page and its worker say to each other (through Comlink). All of it is plain data; typed arrays are
 * transferred, not copied. Calls that take `job` are cancelled by `abort(job)` and then reject with an AbortError.
 */
import type {
  AdapterDescription,
  BackendName,
  Comparison,
  Preprocessing,
  Profile,
  ProgressEvent,
  Timings,
} from 'octetjs';
import type { MemoryPlan } from 'octetjs/extend';
import type { GoldenVerification } from 'octetjs/inspect';

export type BackendChoice = 'auto' | BackendName;

/** A picture in uint8 RGB, [height, width, 3], row-major. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export interface ModelInfo {
  readonly name: string;
  readonly backend: BackendName;
  readonly backendReason: string;
  readonly adapter: AdapterDescription | null;
  readonly threads: number | null;
  readonly labels: readonly string[];
  /** Classes that an answer speaks of: as many as labels, where there are labels. */
  readonly classCount: number;
  readonly preprocessing: Preprocessing | null;
  readonly input: { readonly width: number; readonly height: number };
  /** Bytes of the model file. */
  readonly bytes: number;
  readonly layers: readonly LayerInfo[];
  readonly macs: number;
  readonly memory: MemoryPlan;
  /** Weights, prepacked, and tables. */
  readonly constantBytes: number;
  readonly dispatches: number;
  /** From the first byte asked for to ready. */
  readonly loadMs: number;
}

/** One operation of the integer program. Shapes are [height, width, channels]. */
export interface LayerInfo {
  readonly name: string;
  readonly kind: string;
  /** What a person would call it: "3×3 convolution, max pool 2×2". */
  readonly title: string;
  readonly inputShape: readonly [number, number, number];
  readonly outputShape: readonly [number, number, number];
  readonly outputTensor: string;
  readonly outputBytes: number;
  readonly macs: number;
  readonly weights: number;
  readonly variant: string | null;
  readonly family: string | null;
}

export interface Guess {
  readonly label: string;
  readonly index: number;
  readonly probability: number;
}

export interface Answer {
  /** All classes, most probable first. */
  readonly guesses: readonly Guess[];
  readonly timings: Timings;
}

/** Counts of each value of an integer tensor: `counts[i]` is how often `min + i` occurs. */
export interface IntegerHistogram {
  readonly min: number;
  readonly counts: Uint32Array;
}

/** A tensor inside the network, after a run of one picture. */
export interface Activation {
  readonly name: string;
  readonly shape: readonly [height: number, width: number, channels: number];
  /** Row-major in `shape`, without padded channels. */
  readonly data: Int8Array | Int32Array | Float32Array;
  /** `real = scale · (q − zeroPoint)`; the first scale where there is one a channel. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/** A value of a tensor [height, width, channels]. */
export interface Place {
  readonly row: number;
  readonly column: number;
  readonly channel: number;
}

/** From an accumulator to a byte: `clamp(round(acc · mantissa / 2^shift) + zeroPoint, lo, hi)`. */
export interface Requantized {
  readonly mantissa: number;
  readonly shift: number;
  /** `acc · mantissa`, up to 55 bits, in decimal. */
  readonly product: string;
  readonly rounded: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
  readonly byte: number;
}

/** How one value of a convolution came about. */
export interface Explanation {
  readonly at: Place;
  readonly kernel: readonly [height: number, width: number];
  readonly inChannels: number;
  /** The window: [kernel height][kernel width][inChannels]. */
  readonly input: Int8Array;
  /** [kernel height][kernel width]: 1 where the window reaches beyond the picture. */
  readonly isPadding: Uint8Array;
  readonly inputZeroPoint: number;
  /** As `input`. */
  readonly weights: Int16Array;
  /** With the input's zero point folded in. */
  readonly bias: number;
  readonly acc: number;
  /** Null where the accumulators themselves are the output. */
  readonly requantized: Requantized | null;
  /** The four values of which the largest is kept, where a 2×2 max pool is fused. */
  readonly pooled: readonly number[] | null;
  /** The residual addition, where one is fused. */
  readonly added: {
    readonly other: number;
    readonly multipliers: readonly [own: number, other: number];
    readonly inputZeroPoints: readonly [own: number, other: number];
    readonly shift: number;
    readonly rounded: number;
    readonly zeroPoint: number;
    readonly byte: number;
  } | null;
  /** What the run has in this place. */
  readonly stored: number;
}

export type OnProgress = (event: ProgressEvent) => void;

/** Predicted classes of test pictures `first`, `first + 1`, …, as they become known. */
export type OnPredictions = (first: number, classes: Uint8Array) => void;

/** A file of the visitor's, or one of the site's: its bytes where the page has fetched them already. */
export type ModelFile = File | { readonly url: string; readonly bytes: Uint8Array | null };

export interface EngineApi {
  /** Fetches what a backend consists of, while the model is downloaded. */
  preload(backend: BackendChoice): Promise<void>;
  /** Replaces the model, and cancels the jobs that run on it. The one before stays in use if this one cannot be loaded. */
  load(job: number, source: ModelFile, backend: BackendChoice, onProgress: OnProgress): Promise<ModelInfo>;
  /** Decodes a file, or shrinks a camera frame, to what the network sees. */
  prepare(source: Blob | ImageBitmap): Promise<Pixels>;
  classify(pixels: Pixels): Promise<Answer>;
  /** Runs the model on all pictures, `batch` at a time. */
  classifyAll(
    job: number,
    pictures: { readonly data: Uint8Array; readonly count: number },
    batch: number,
    onPredictions: OnPredictions,
  ): Promise<void>;
  activations(pixels: Pixels): Promise<readonly Activation[]>;
  /** Null where the layer is no convolution. */
  explain(layer: string, at: Place, pixels: Pixels): Promise<Explanation | null>;
  weightHistogram(layer: string): Promise<IntegerHistogram | null>;
  profile(job: number, onProgress: OnProgress): Promise<Profile>;
  /** Compares every tensor with the reference backend's. */
  verify(job: number, pixels: Pixels): Promise<Comparison>;
  /** Runs a golden pack (`octet golden`) on the backend in use; packs without their model take the one in use. */
  verifyPack(job: number, pack: File): Promise<GoldenVerification>;
  /** The report of `octet inspect` on the model in use, as an HTML document. */
  report(): Promise<string>;
  /** Measures the device of a backend: the same JSON as `octet device --json`. */
  deviceProfile(backend: 'webgpu' | 'wasm'): Promise<string>;
  abort(job: number): void;
}
