/** What every engine under test looks like to the harness: pixels in, logits out, everything between is timed. */

/** [batch, side, side, 3] uint8 pixels, row-major. */
export interface PixelBatch {
  readonly pixels: Uint8Array;
  readonly batch: number;
}

export interface Preprocessing {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface BenchFiles {
  /** The contender's file of the network. */
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
  /** Logits, [batch, classes] row-major. Resolves when they are in JavaScript's hands. */
  run(input: PixelBatch): Promise<Float32Array>;
  /** Milliseconds of loading that went into reading the file, where that is a call of its own. */
  readonly parseMs?: number;
  /** Where the engine tells how its layers run. */
  limit?(batches: readonly number[]): Promise<ComputeLimit>;
  /** What the engine says it ran on and how, where only it knows after loading. */
  readonly detail?: string;
  dispose(): Promise<void> | void;
}

export type Library = 'octet' | 'onnxruntime-web' | 'tensorflow.js' | 'litert.js' | 'onnxruntime-node';

/** One row of the table: which engine, on what, with which model. Plain data, so that the driver can list them. */
export interface Contender {
  /** Stable id, e.g. `ort-wasm-float-2t`. */
  readonly id: string;
  readonly label: string;
  readonly library: Library;
  /** `native` is a process beside the browser: no engine for the web, but what the machine can do. */
  readonly device: 'webgpu' | 'wasm' | 'reference' | 'native';
  /** Which of the network's models it runs: its download size, and its arithmetic. */
  readonly model: 'float' | 'int8';
  readonly threads: number;
  /** Beyond it the engine is not timed, and why. */
  readonly largestBatch?: { readonly batch: number; readonly reason: string };
  /** Settings in force, for the reader of the table. */
  readonly settings: string;
}

/** From bytes to ready: parse, plan, compile. Must not run the model. */
export type LoadContender = (contender: Contender, files: BenchFiles) => Promise<LoadedContender>;

/** What each value of a pixel becomes, a table of 256 a channel: the peers' conversion should cost them little. */
function normalized({ mean, std }: Preprocessing): Float32Array[] {
  return mean.map((value, c) => Float32Array.from({ length: 256 }, (_, p) => (p / 255 - value) / std[c]));
}

/** The float input that the peers take, made from pixels as the model's metadata says. */
export type ToFloat = (input: PixelBatch) => Float32Array;

export function toFloatNchw(preprocessing: Preprocessing): ToFloat {
  const tables = normalized(preprocessing);
  return ({ pixels, batch }) => {
    const area = pixels.length / (batch * 3);
    const data = new Float32Array(pixels.length);
    for (let n = 0; n < batch; n++) {
      for (let c = 0; c < 3; c++) {
        const table = tables[c];
        const to = (n * 3 + c) * area;
        for (let i = 0, from = n * area * 3 + c; i < area; i++, from += 3) data[to + i] = table[pixels[from]];
      }
    }
    return data;
  };
}

export function toFloatNhwc(preprocessing: Preprocessing): ToFloat {
  const [red, green, blue] = normalized(preprocessing);
  return ({ pixels }) => {
    const data = new Float32Array(pixels.length);
    for (let i = 0; i < data.length; i += 3) {
      data[i] = red[pixels[i]];
      data[i + 1] = green[pixels[i + 1]];
      data[i + 2] = blue[pixels[i + 2]];
    }
    return data;
  };
}

/** Side of the square pictures of a batch. */
export function sideOf({ pixels, batch }: PixelBatch): number {
  return Math.sqrt(pixels.length / (batch * 3));
}
