/** What every engine under test looks like to the harness: pixels in, logits out, everything between is timed. */

/** [batch, 32, 32, 3] uint8 pixels, row-major. */
export interface PixelBatch {
  readonly pixels: Uint8Array;
  readonly batch: number;
}

export interface Preprocessing {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface BenchFiles {
  /** The contender's model: the float ONNX file, or Octet's int8 QDQ file. */
  readonly model: Uint8Array;
  readonly preprocessing: Preprocessing;
}

/** What a device could do at best with the multiply-adds of the network, from registers alone. */
export interface ComputeLimit {
  /** GMAC/s of each multiply instruction or arithmetic family that the layers use, measured now, on all of the contender's threads. */
  readonly peaks: Readonly<Record<string, number>>;
  /** For each batch size asked for: milliseconds that the multiply-adds take at the peak of the instruction each layer uses. */
  readonly idealMs: readonly number[];
  /** Each layer that multiplies, timed alone at batch 1. */
  readonly layers: readonly LayerSpeed[];
}

export interface LayerSpeed {
  readonly name: string;
  readonly variant: string;
  /** Key into `ComputeLimit.peaks`. */
  readonly instruction: string;
  readonly ms: number;
  readonly gmacs: number;
  /** Of the peak, 0 to 1. Beyond it where Winograd saves multiplications: they are counted as the plain convolution's. */
  readonly share: number;
}

export interface LoadedContender {
  /** Logits, [batch, 10] row-major. Resolves when they are in JavaScript's hands. */
  run(input: PixelBatch): Promise<Float32Array>;
  /** Milliseconds of loading that went into reading the file, where that is a call of its own. */
  readonly parseMs?: number;
  /** Where the engine tells how its layers run. */
  limit?(batches: readonly number[]): Promise<ComputeLimit>;
  /** What the engine says it ran on and how, where only it knows after loading. */
  readonly detail?: string;
  dispose(): Promise<void> | void;
}

/** One row of the table: which engine, on what, with which model. Plain data, so that the driver can list them. */
export interface Contender {
  /** Stable id, e.g. `ort-wasm-float-2t`. */
  readonly id: string;
  readonly label: string;
  readonly library: 'octet' | 'onnxruntime-web' | 'tensorflow.js';
  readonly device: 'webgpu' | 'wasm' | 'reference';
  /** Which of the files it needs: its download size, and its arithmetic. */
  readonly model: 'float' | 'int8';
  readonly threads: number;
  /** Beyond it a run would only take long. */
  readonly largestBatch?: number;
  /** Settings in force, for the reader of the table. */
  readonly settings: string;
}

/** From bytes to ready: parse, plan, compile. Must not run the model. */
export type LoadContender = (contender: Contender, files: BenchFiles) => Promise<LoadedContender>;

/** Float NCHW input that the peers take, made from pixels as the model's metadata says. */
export function toFloatNchw({ pixels, batch }: PixelBatch, { mean, std }: Preprocessing): Float32Array {
  const area = 32 * 32;
  const data = new Float32Array(batch * 3 * area);
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < area; i++) {
        data[(n * 3 + c) * area + i] = (pixels[(n * area + i) * 3 + c] / 255 - mean[c]) / std[c];
      }
    }
  }
  return data;
}

/** Float NHWC input, likewise. */
export function toFloatNhwc({ pixels, batch }: PixelBatch, { mean, std }: Preprocessing): Float32Array {
  const data = new Float32Array(batch * 32 * 32 * 3);
  for (let i = 0; i < data.length; i++) data[i] = (pixels[i] / 255 - mean[i % 3]) / std[i % 3];
  return data;
}
