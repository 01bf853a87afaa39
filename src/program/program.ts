/**
 * The integer program: what a quantized network computes between the input pixels and the logits, as plain
 * data. Every backend runs it and gives the same bytes (docs/quantization.md derives the arithmetic).
 */
import { ModelError } from '../errors.ts';
import type { Dimension, DType, Node } from '../graph/graph.ts';
import type { OnnxOperator, Value } from '../graph/operators/operator.ts';
import type { Weights } from './weights.ts';

/** Index of a tensor in `IntegerProgram.tensors`. */
export type TensorId = number;

/** Height, width and channels of one image of the batch, as stored. Dense activations are [1, 1, C]. */
export type ImageShape = readonly [height: number, width: number, channels: number];

/**
 * How one image of a tensor lies in memory, the same on every backend: NHWC, channels padded to `paddedChannels(C)`, a multiple of
 * 4; element (n, h, w, c) is byte `((n·H + h)·W + w)·paddedChannels(C) + c` of an int8 tensor, the word at that index of an int32
 * or float32 one. Padded lanes hold the tensor's zero point (0 in others than int8).
 *
 * Which logical element that is, `strides` says: (h, w, c) is element `h·strides[0] + w·strides[1] + c·strides[2]` of the image in row-major
 * order. [N, C, H, W] has strides [W, 1, H·W]. A reshape of a tensor changes neither `image` nor `strides`.
 */
export interface Layout {
  readonly image: ImageShape;
  readonly strides: ImageShape;
}

interface TensorBase extends Layout {
  readonly id: TensorId;
  /** ONNX name of the value. */
  readonly name: string;
  /** ONNX shape, the batch first. */
  readonly shape: readonly Dimension[];
}

/** `real = scale · (q − zeroPoint)`. */
export interface Int8Tensor extends TensorBase {
  readonly type: 'int8';
  /** A float32 above 0. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/** int32 sums of a last layer that is not requantized: `real = scale · q`. */
export interface AccumulatorTensor extends TensorBase {
  readonly type: 'accumulator';
  /** One for the tensor, or one a channel. */
  readonly scale: number | Float32Array;
  readonly zeroPoint: 0;
}

/**
 * Real values of a host stage, row-major in the logical shape, without padding: `image` is [1, 1, values of one image].
 */
export interface FloatTensor extends TensorBase {
  readonly type: 'float32';
  readonly scale: 1;
  readonly zeroPoint: 0;
}

/**
 * Integers of a host stage, likewise: of any type whose values 32 bits hold, and of int64 those that are that small.
 */
export interface IntegerTensor extends TensorBase {
  readonly type: 'int32';
  readonly dtype: DType;
  readonly scale: 1;
  readonly zeroPoint: 0;
}

/** What a host stage reads and writes. */
export type HostTensor = FloatTensor | IntegerTensor;

export type ProgramTensor = Int8Tensor | AccumulatorTensor | HostTensor;

/** Whether a tensor is of a host stage: row-major, no padding. */
export function isHostTensor(tensor: ProgramTensor): tensor is HostTensor {
  return tensor.type === 'float32' || tensor.type === 'int32';
}

/** Values of a tensor in a running program, as `Layout` says, padded lanes included. */
export type TensorBuffer = Int8Array | Int32Array | Float32Array;

export interface ProgramInput {
  readonly name: string;
  /** int8; float32 where host stages read real values. */
  readonly tensor: TensorId;
  /** Type of the input in the file; of uint8, the program's integers are 128 less. */
  readonly fileDtype: 'float32' | 'int8' | 'uint8';
}

export interface ProgramOutput {
  readonly name: string;
  readonly tensor: TensorId;
  /** As the file declares it; of uint8, the program's integers are 128 less where they are of a quantized tensor. */
  readonly dtype: 'float32' | 'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'int64' | 'bool';
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

/** The same with one multiplier for all channels. */
export interface ScalarRequantize extends Omit<Requantize, 'mantissa' | 'shift'> {
  readonly mantissa: number;
  readonly shift: number;
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
  /** Rows and columns at the bottom and on the right of `pads` that never count: `ceil_mode` lets windows reach there. */
  readonly overhang: readonly [height: number, width: number];
  /** `multipliers[count − 1]` is the one for windows that average `count` values; `inputZeroPoints` has one entry. */
  readonly rescale: Rescale;
}

/**
 * A function of two tensors. The second one's layout is the first's, or has one row, column or channel, which stands for all of the first's.
 *
 * - `sum`: `y = clamp(zeroPoint + rne(((a − z_a) · multipliers[0] + (b − z_b) · multipliers[1]) · 2^−shift), lo, hi)`;
 *   a difference has a negative second multiplier.
 * - `product`: `y = clamp(zeroPoint + rne((a − z_a) · (b − z_b) · multipliers[0] · 2^−shift), lo, hi)`
 * - `maximum`, `minimum`: `y = clamp(max(a, b), lo, hi)`, both quantized as the output
 * - `entry`: `y = clamp(table[256 · (a + 128) + b + 128], lo, hi)`: any function (a quotient)
 */
export interface BinaryOperation extends Operation {
  readonly kind: 'binary';
  readonly function: 'sum' | 'product' | 'maximum' | 'minimum' | 'entry';
  readonly rescale: Rescale;
  /** [256][256], of `entry` alone. */
  readonly table?: Int8Array;
}

/**
 * Where each element of an output comes from: a byte of the image of the same number of the input. Negative: nowhere, it holds the fill.
 */
export type MoveSource =
  /** The sum of one entry a row, one a column and one a channel. */
  | {
      readonly kind: 'axes';
      readonly rows: Int32Array;
      readonly columns: Int32Array;
      readonly channels: Int32Array;
    }
  /** [H][W][C] */
  | { readonly kind: 'elements'; readonly offsets: Int32Array };

/** What a move takes from one of its inputs. */
export interface MovePart {
  /** First row, column and channel of the box of the output that this input fills, and the box's size. */
  readonly first: ImageShape;
  readonly size: ImageShape;
  /** Of the elements of the box. */
  readonly source: MoveSource;
  /** [256] what each int8 of the input becomes, from −128 on; null: itself. */
  readonly table: Int8Array | null;
}

/**
 * Elements of one or more tensors in other places: transposition, slicing, padding, concatenation, nearest resizing. The boxes of the parts
 * tile the output.
 */
export interface MoveOperation extends Operation {
  readonly kind: 'move';
  /** One an input. */
  readonly parts: readonly MovePart[];
  /** What elements hold that come from nowhere. */
  readonly fill: number;
}

/** Any unary function of one tensor: `y = table[x + 128]`; or one for each channel: `y = table[256 · c + x + 128]`. */
export interface LookupOperation extends Operation {
  readonly kind: 'lookup';
  /** [256], or [channels][256] of the channels as stored. */
  readonly table: Int8Array;
}

/** Which elements along an axis of the input make those of the output. */
export interface ResizeTaps {
  /** For each element. */
  readonly count: number;
  /** [size · count] within the input's axis. */
  readonly places: Int32Array;
  /** [size · count], those of an element add up to a power of two. */
  readonly weights: Int32Array;
}

/** Interpolation: `y = requantize(Σ_r Σ_c rows.weights[r] · columns.weights[c] · (x − z_x))`; lowering proves that the sum fits int32. */
export interface ResizeOperation extends Operation {
  readonly kind: 'resize';
  readonly rows: ResizeTaps;
  readonly columns: ResizeTaps;
  /** Its shift includes the weights' powers of two. */
  readonly requantize: ScalarRequantize;
}

/**
 * Products of two activations, image by image and row by row: an image of `inputs[0]` is [R, M, K], one of `inputs[1]` [R, N, K] (its
 * matrices transposed, so that both have the inner axis innermost), one of the output [R, M, N].
 * `acc = Σ_k (a − z_a)(b − z_b)`, then requantized (or, where `requantize` is null, the output); lowering proves that it fits int32.
 */
export interface MatMulOperation extends Operation {
  readonly kind: 'matMul';
  readonly requantize: ScalarRequantize | null;
}

/**
 * Softmax over the channels of each pixel: with `d` the largest of its values less each value, `e = exponentials[d]` and
 * `y = clamp(zeroPoint + rne(e · mantissa / (2^shift · Σe)), lo, hi)`.
 */
export interface SoftmaxOperation extends Operation {
  readonly kind: 'softmax';
  /** [256] `rne(2^(31 − ⌈log₂ channels⌉) · e^(−scale · d))`: their sum is at most 2³¹. */
  readonly exponentials: Uint32Array;
  /** Its multiplier is the float32 reciprocal of the output's scale; shift at most 25, beyond which all is 0. */
  readonly requantize: ScalarRequantize;
}

/**
 * Logarithm of the softmax over the channels of each pixel: with `d` the largest of its values less each value, and `S` the sum of their
 * exponentials, `y = clamp(zeroPoint − rne((steps[d] + L(S)) · 2^−shift), lo, hi)`, where `L` interpolates `logarithms` (reference.ts).
 */
export interface LogSoftmaxOperation extends Operation {
  readonly kind: 'logSoftmax';
  /** As softmax's. */
  readonly exponentials: Uint32Array;
  /** [256] what each difference comes to in steps of the output, at most 512 of them, times 2^shift. */
  readonly steps: Int32Array;
  /** [257] `rne(2^shift · ln(1 + i/256) / output scale)`. */
  readonly logarithms: Int32Array;
  /** 1…18 */
  readonly shift: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
}

/**
 * The channel that holds the largest (or least) value of each pixel, the first of equals, or the last. The output is an `IntegerTensor`: one
 * int32 a pixel, in their order.
 */
export interface ArgMaxOperation extends Operation {
  readonly kind: 'argMax';
  readonly function: 'max' | 'min';
  readonly isLast: boolean;
}

/**
 * Layer, instance and group normalization, and those by the root mean square or the norm: `y = γ_c · (x − mean) / √(variance + ε) + β_c` over
 * groups of values. In integers, over a group of K values `u = x − offset` with `S₁ = Σu` (0 where it is not centred) and `S₂ = Σu²`:
 *
 *     V = max(1, (K·S₂ − S₁²) · 2^varianceBits + epsilon)    j = ⌈(bits of V − 30) / 2⌉    W = ⌊V · 4^−j⌋
 *     r = the largest integer below 2¹⁶ with r·(r − 1)·W < 2⁶⁰
 *     t = ⌊(⌊(K·u − S₁) · 2^−droppedBits⌋ · 2^(rootBits − j) · r + 2¹⁴) / 2¹⁵⌋
 *     y = clamp(zeroPoint + rne((⌊(t · gamma[c] + 2¹⁵) / 2¹⁶⌋ + beta[c]) · 2^−shift), lo, hi)
 *
 * docs/quantization.md derives it. All but V fits int32, V is below 2⁶².
 */
export interface NormalizeOperation extends Operation {
  readonly kind: 'normalize';
  /** Groups hold all pixels of `groupChannels` neighbouring channels; else all channels of one pixel. */
  readonly isSpatial: boolean;
  readonly groupChannels: number;
  readonly isCentred: boolean;
  /** 0 where it is centred, which takes any, else the input's zero point. */
  readonly offset: number;
  /** An integer below 2⁶². */
  readonly epsilon: number;
  /** Even. */
  readonly varianceBits: number;
  readonly droppedBits: number;
  readonly rootBits: number;
  /** [channels] of at most 15 bits and the sign. */
  readonly gamma: Int32Array;
  /** [channels] below 2³⁰. */
  readonly beta: Int32Array;
  /** 4…24 */
  readonly shift: number;
  readonly zeroPoint: number;
  readonly lo: number;
  readonly hi: number;
}

/** What a reduction folds the differences `x − z_x` into, or of `max` and `min` the values. */
export type ReduceFunction = 'sum' | 'sumOfMagnitudes' | 'sumOfSquares' | 'max' | 'min';

/**
 * A fold over whole stored axes, which the output has one element along. Maxima and minima are the output; of sums,
 * `y = clamp(zeroPoint + rne(acc · mantissa · 2^−shift), lo, hi)`, or `y` is `lo` and one more for each threshold that `acc` has reached.
 */
export interface ReduceOperation extends Operation {
  readonly kind: 'reduce';
  readonly function: ReduceFunction;
  readonly axes: readonly [rows: boolean, columns: boolean, channels: boolean];
  readonly finish:
    | { readonly kind: 'select' }
    | { readonly kind: 'requantize'; readonly requantize: ScalarRequantize }
    /** [255] ascending, from the least sum that gives `lo + 1` on; those that no sum reaches are 2³¹ − 1. */
    | { readonly kind: 'thresholds'; readonly thresholds: Int32Array; readonly lo: number };
}

/** The same image for the whole batch, which the file holds: a class token, what stands beside an activation in a Concat. */
export interface ConstantOperation extends Operation {
  readonly kind: 'constant';
  /** One image as stored, padded lanes at the zero point. */
  readonly values: Int8Array;
}

/**
 * Real values of an int8 or accumulator tensor, row-major in its logical shape: where a host stage begins. Of two inputs, the accumulators of
 * the low and the high bytes of 16-bit activations: `scale · (256 · high + low)`, the scale that of the low ones.
 */
export interface DequantizeOperation extends Operation {
  readonly kind: 'dequantize';
  /**
   * [256] the real value of each int8, from −128 on, or a function of it, or the integer itself, where the output holds such, or
   * [channels][256] of the channels as stored; null:
   * accumulators, times their scale.
   */
  readonly table: Float32Array | null;
}

/** A byte of integers of 16 bits: `q = 256 · high + low + 128`, both in −128…127; q of uint16 is 32,768 less. */
export type WideByte = 'high' | 'low';

/** ONNX QuantizeLinear of real values: where a host stage ends. Scale and zero point are the output's. */
export interface QuantizeOperation extends Operation {
  readonly kind: 'quantize';
  /** Instead, a byte of the integers of 16 bits that the input holds. */
  readonly byte?: WideByte;
  /** Why integers are quantized here and not by the operation that computes them; null: they come from a host stage. */
  readonly reason: string | null;
}

/** What a node of a host stage reads: a tensor of the program, or a constant. */
export type HostOperand =
  | {
      /** Position in the operation's inputs. */
      readonly input: number;
      /** As the node sees it, the batch first: what only renames leaves the tensor's own. */
      readonly shape: readonly Dimension[];
      readonly dtype: DType;
    }
  | { readonly value: Value };

/** One output of an ONNX node, by its row's `evaluate`. */
export interface HostOperation extends Operation {
  readonly kind: 'host';
  readonly node: Node;
  readonly row: OnnxOperator;
  /** Which of the node's outputs. */
  readonly index: number;
  /**
   * Whether each image is computed by itself, as a batch of one: what it reads or gives has no batch in front (a scale that
   * DynamicQuantizeLinear finds).
   */
  readonly isPerImage: boolean;
  /** One an input of the node, undefined where left out. */
  readonly operands: readonly (HostOperand | undefined)[];
  /** Why it does not run in integers. */
  readonly reason: string;
}

/** Operations that run on a device. */
export type BuiltinOperation =
  | ArgMaxOperation
  | Conv2dOperation
  | MaxPool2dOperation
  | AveragePool2dOperation
  | BinaryOperation
  | ConstantOperation
  | MoveOperation
  | LookupOperation
  | LogSoftmaxOperation
  | MatMulOperation
  | NormalizeOperation
  | ReduceOperation
  | ResizeOperation
  | SoftmaxOperation;

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

/**
 * A tensor that holds int8.
 *
 * @throws {ModelError} it holds something else
 */
export function int8Tensor(tensor: ProgramTensor): Int8Tensor {
  if (tensor.type === 'int8') return tensor;
  throw new ModelError(`"${tensor.name}" holds ${tensor.type} values, where int8 is needed`);
}

/** Channels as stored: the next multiple of 4, so that four int8 fill a u32. */
export function paddedChannels(channels: number): number {
  // Not by bits, which are an int32's: a hostile file may have more channels.
  return Math.ceil(channels / 4) * 4;
}

/** Elements (bytes of an int8 tensor, words of an int32 one) that `batch` images occupy. */
export function elementCount(tensor: ProgramTensor, batch: number): number {
  const [height, width, channels] = tensor.image;
  return batch * height * width * (isHostTensor(tensor) ? channels : paddedChannels(channels));
}

/** Bytes that `batch` images occupy. */
export function byteCount(tensor: ProgramTensor, batch: number): number {
  return elementCount(tensor, batch) * (tensor.type === 'int8' ? 1 : 4);
}

/**
 * The layout of a value that comes from outside or from an operator on images: axis 1 holds the channels, the axes behind it are
 * the image, the last one its width. Undefined where there is no batch, or a size behind it is not a fixed positive number.
 */
export function imageLayout(shape: readonly Dimension[]): Layout | undefined {
  const [, channels = 1, ...spatial] = shape;
  const isFixed = (size: Dimension): size is number => typeof size === 'number' && size > 0;
  if (shape.length === 0 || !isFixed(channels) || !spatial.every(isFixed)) return undefined;
  const pixels = spatial.reduce((product, size) => product * size, 1);
  const width = spatial.at(-1) ?? 1;
  return nchw([pixels / width, width, channels]);
}

/** The layout of real values in a host stage: row-major, `count` to an image of the batch. */
export function rowMajor(count: number): Layout {
  return { image: [1, 1, count], strides: [count, count, 1] };
}

/** The layout of images [N, C, H, W] of `image`. */
export function nchw(image: ImageShape): Layout {
  const [height, width] = image;
  return { image, strides: [width, 1, height * width] };
}

/** Whether two layouts put the same logical element in the same place. */
export function sameLayout(a: Layout, b: Layout): boolean {
  return a.image.every(
    (size, axis) => size === b.image[axis] && (size === 1 || a.strides[axis] === b.strides[axis]),
  );
}

/**
 * The values of `batch` images of a tensor, in memory of their own or in `buffer`.
 * @throws {RangeError} there is no memory for them
 */
export function tensorBuffer(
  tensor: ProgramTensor,
  batch: number,
  buffer?: ArrayBufferLike,
  byteOffset = 0,
): TensorBuffer {
  const elements = elementCount(tensor, batch);
  const values = buffer ?? new ArrayBuffer(byteCount(tensor, batch));
  switch (tensor.type) {
    case 'int8':
      return new Int8Array(values, byteOffset, elements);
    case 'accumulator':
    case 'int32':
      return new Int32Array(values, byteOffset, elements);
    case 'float32':
      return new Float32Array(values, byteOffset, elements);
  }
}
