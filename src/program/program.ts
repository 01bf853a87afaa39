/**
 * The integer program: what a quantized network computes between the input pixels and the logits, as plain
 * data. Every backend runs it and gives the same bytes (docs/quantization.md derives the arithmetic).
 *
 * Layout of every activation, on every backend: NHWC, channels padded to `paddedChannels(C)`, a multiple of 4;
 * element (n, h, w, c) of an int8 tensor is byte `((n·H + h)·W + w)·paddedChannels(C) + c`, of an int32 tensor the
 * word at that index. Padded lanes hold the tensor's zero point (0 in int32 tensors).
 */
import type { Weights } from './weights.ts';

/** Index of a tensor in `IntegerProgram.tensors`. */
export type TensorId = number;

/** Height, width and channels of one image of the batch. Dense activations are [1, 1, C]. */
export type ImageShape = readonly [height: number, width: number, channels: number];

/** `real = scale · (q − zeroPoint)`. */
export interface ProgramTensor {
  readonly id: TensorId;
  /** ONNX name of the float value it quantizes. */
  readonly name: string;
  readonly shape: ImageShape;
  /** int32 only for accumulators of a last layer that is not requantized. */
  readonly dtype: 'int8' | 'int32';
  /** One scale a tensor, or one a channel (int32 accumulators of per-channel weights). */
  readonly scale: number | Float32Array;
  readonly zeroPoint: number;
}

export interface ProgramInput {
  readonly name: string;
  readonly tensor: TensorId;
  /** Type of the input in the file; of uint8, the program's integers are 128 less. */
  readonly fileDtype: 'float32' | 'int8' | 'uint8';
}

/** What the CPU does to the real values of an output, which are in the ONNX layout, in float64. */
export type TailStep =
  | {
      readonly kind: 'softmax';
      /** Values that are normalized together, each `inner` elements behind the one before. */
      readonly length: number;
      readonly inner: number;
    }
  /** ONNX QuantizeLinear, whose integers the next step reads dequantized. */
  | { readonly kind: 'quantize'; readonly scale: number; readonly zeroPoint: number };

export interface ProgramOutput {
  readonly name: string;
  readonly tensor: TensorId;
  readonly tail: readonly TailStep[];
  /** As the file declares it; of uint8, the program's integers are 128 less. */
  readonly dtype: 'float32' | 'int8' | 'uint8';
  /** Declared ONNX shape without the batch, e.g. [10] or [C, H, W]. */
  readonly shape: readonly number[];
}

/** A real multiplier `mantissa · 2^−shift`, one a channel (see multiplier.ts). */
export interface Requantize {
  /** [C] 24-bit integers. */
  readonly mantissa: Uint32Array;
  /** [C] in 0…56. */
  readonly shift: Uint8Array;
  readonly zeroPoint: number;
  /** `y = clamp(zeroPoint + rne(acc · mantissa · 2^−shift), lo, hi)`. */
  readonly lo: number;
  readonly hi: number;
}

/**
 * `y = clamp(zeroPoint + rne((Σ_i (x_i − inputZeroPoints[i]) · multipliers[i]) · 2^−shift), lo, hi)`, the sum exact in
 * int32: lowering proves `Σ_i 255 · terms · multipliers[i] + 2^(shift−1) < 2^31`.
 */
export interface Rescale {
  readonly multipliers: Int32Array;
  readonly inputZeroPoints: Int32Array;
  /** In 0…30. */
  readonly shift: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
}

export interface Window2d {
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [height: number, width: number];
  readonly pads: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation: readonly [height: number, width: number];
}

/** What all operations share. `kind` names the folder of `src/ops/`. */
export interface Operation {
  readonly kind: string;
  /** Name of the ONNX node it came from (the first, where several were fused). */
  readonly name: string;
  readonly inputs: readonly TensorId[];
  readonly output: TensorId;
}

/**
 * Convolution and dense layers (a dense layer is a convolution whose kernel is the whole image).
 * `acc[c] = bias[c] + Σ x·w − weights.zeroPoint[c]·Σ x` over the window, x padded with the input's zero point;
 * then requantize (or, where `requantize` is null, the int32 accumulators are the output).
 */
export interface Conv2dOperation extends Operation, Window2d {
  readonly kind: 'conv2d';
  readonly groups: number;
  readonly weights: Weights;
  /** [outChannels], the input's zero point folded in: `b − z_x·Σw + K·z_x·z_w`. */
  readonly bias: Int32Array;
  readonly requantize: Requantize | null;
  /** Fused 2×2 stride-2 max pool of the requantized output (valid: odd last rows and columns are dropped). */
  readonly pool: boolean;
  /**
   * Fused residual: output = rescale(requantized conv, inputs[1]). `residual.multipliers` has two entries,
   * the convolution's first. Exclusive with `pool`.
   */
  readonly residual: Rescale | null;
}

export interface MaxPool2dOperation extends Operation, Window2d {
  readonly kind: 'maxPool2d';
}

export interface AveragePool2dOperation extends Operation, Window2d {
  readonly kind: 'averagePool2d';
  /** Whether padding counts in the divisor. */
  readonly countIncludePad: boolean;
  /** `multipliers[count − 1]` is the one for windows that average `count` values; `inputZeroPoints` has one entry. */
  readonly rescale: Rescale;
}

export interface AddOperation extends Operation {
  readonly kind: 'add';
  readonly rescale: Rescale;
}

/**
 * Product of two tensors; the second may be a single pixel, which multiplies every pixel of its image.
 * `y = clamp(zeroPoint + rne((a − inputZeroPoints[0]) · (b − inputZeroPoints[1]) · multipliers[0] · 2^−shift), lo, hi)`
 */
export interface MulOperation extends Operation {
  readonly kind: 'mul';
  readonly rescale: Rescale;
}

/** Concatenation along channels; each input rescaled on its own by `rescales[i]` (one multiplier each). */
export interface ConcatOperation extends Operation {
  readonly kind: 'concat';
  readonly rescales: readonly Rescale[];
}

/** Channels of one tensor, in any order, any number of times: `y[…, c] = x[…, channels[c]]`. */
export interface GatherOperation extends Operation {
  readonly kind: 'gather';
  /** [C] */
  readonly channels: Int32Array;
}

/** Any unary function of one tensor: `y = table[x + 128]`. */
export interface LookupOperation extends Operation {
  readonly kind: 'lookup';
  /** [256] */
  readonly table: Int8Array;
}

export type BuiltinOperation =
  | Conv2dOperation
  | MaxPool2dOperation
  | AveragePool2dOperation
  | AddOperation
  | MulOperation
  | ConcatOperation
  | GatherOperation
  | LookupOperation;

export interface IntegerProgram {
  readonly name: string;
  readonly tensors: readonly ProgramTensor[];
  /** In execution order. */
  readonly operations: readonly Operation[];
  readonly inputs: readonly ProgramInput[];
  readonly outputs: readonly ProgramOutput[];
  /** ONNX metadata_props, for labels and preprocessing. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Channels as stored: the next multiple of 4, so that four int8 fill a u32. */
export function paddedChannels(channels: number): number {
  // Not by bits, which are an int32's: a hostile file may have more channels.
  return Math.ceil(channels / 4) * 4;
}

/** Elements (bytes of an int8 tensor, words of an int32 one) that `batch` images occupy. */
export function elementCount(tensor: ProgramTensor, batch: number): number {
  const [height, width, channels] = tensor.shape;
  return batch * height * width * paddedChannels(channels);
}

/** Bytes that `batch` images occupy. */
export function byteCount(tensor: ProgramTensor, batch: number): number {
  return elementCount(tensor, batch) * (tensor.dtype === 'int8' ? 1 : 4);
}
