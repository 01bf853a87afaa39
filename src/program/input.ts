/**
 * The doors of the program: real values and pixels to integers, integers to real values, and the layouts on
 * both sides.
 */
import * as v from 'valibot';
import { finite } from '../arguments.ts';
import { InputError, ModelError } from '../errors.ts';
import { quantizeReal } from './pointwise.ts';
import {
  elementCount,
  isHostTensor,
  type Int8Tensor,
  type Layout,
  paddedChannels,
  type ProgramOutput,
  type ProgramTensor,
  type TensorBuffer,
} from './program.ts';

/** How a picture becomes the network's input: `(pixel / 255 − mean) / std`, one entry a channel (RGB). */
export interface Preprocessing {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const positive = v.pipe(
  finite,
  v.check((value) => value > 0, 'a number above 0'),
);

/** A `Preprocessing` that a caller made. */
export const preprocessingSchema = v.object(
  { mean: v.array(finite, 'a list of numbers'), std: v.array(positive, 'a list of numbers above 0') },
  'an object { mean, std }',
);

/**
 * Preprocessing from a model's metadata: `mean` and `std` as numbers separated by commas (or a JSON array).
 *
 * @returns undefined where the metadata says nothing of it
 * @throws ModelError where what it says makes no sense
 */
export function readPreprocessing(metadata: ReadonlyMap<string, string>): Preprocessing | undefined {
  const numbers = (key: string): number[] | undefined =>
    metadata
      .get(key)
      ?.replace(/^\s*\[|\]\s*$/g, '')
      .split(',')
      .map((part) => (part.trim() === '' ? NaN : Number(part)));
  const mean = numbers('mean');
  const std = numbers('std');
  if (!mean && !std) return undefined;
  if (!mean || mean.length !== std?.length || !isNormalization(mean, std)) {
    throw new ModelError(
      `the metadata's mean "${metadata.get('mean') ?? ''}" and std "${metadata.get('std') ?? ''}" must be as many numbers, one a channel, std above 0`,
    );
  }
  return { mean, std };
}

function isNormalization(mean: readonly number[], std: readonly number[]): boolean {
  return mean.every(Number.isFinite) && std.every((s) => s > 0 && s < Infinity);
}

/**
 * `(p/255 − mean)/std` for each uint8 pixel value, in float64 rounded once to float32; a list of 256 for each channel.
 *
 * @param input name of the input, for the message
 * @throws InputError where mean and std are not of as many channels as the input, or are no numbers to divide by
 */
export function normalizedPixels(
  { mean, std }: Preprocessing,
  channels: number,
  input: string,
): Float32Array[] {
  if (mean.length !== channels || std.length !== channels) {
    throw new InputError(
      `input "${input}" has ${channels} channels, but mean has ${mean.length} and std ${std.length} entries`,
    );
  }
  if (!isNormalization(mean, std)) {
    throw new InputError(
      `mean [${mean.join(', ')}] and std [${std.join(', ')}] must be finite numbers, std above 0`,
    );
  }
  return mean.map((m, c) => Float32Array.from({ length: 256 }, (_, pixel) => (pixel / 255 - m) / std[c]));
}

/**
 * What each uint8 pixel value becomes: entry `c·256 + p`, normalized and quantized like a float input.
 *
 * @returns [channels·256]
 * @throws InputError where mean and std are not of as many channels as the input
 */
export function pixelTable(tensor: Int8Tensor, preprocessing: Preprocessing): Int8Array {
  const reals = normalizedPixels(preprocessing, tensor.image[2], tensor.name);
  return Int8Array.from(
    reals.flatMap((channel) => [...channel]),
    (real) => quantizeReal(real, tensor.scale, tensor.zeroPoint),
  );
}

/**
 * ONNX QuantizeLinear of a float input: `saturate(rint(x / s) + z)`, the division in float32.
 *
 * @param values [batch, C, H, W]
 * @returns the program's layout: NHWC, padded lanes at the zero point
 * @throws InputError where the length does not fit, or a value is not a number
 */
export function quantizeInput(tensor: Int8Tensor, values: Float32Array, batch: number): Int8Array {
  const [height, width, channels] = tensor.image;
  const expected = batch * height * width * channels;
  if (values.length !== expected) {
    throw new InputError(
      `input "${tensor.name}" of ${batch}×${channels}×${height}×${width} has ${expected} values, got ${values.length}`,
    );
  }
  const data = new Int8Array(elementCount(tensor, batch)).fill(tensor.zeroPoint);
  const { scale, zeroPoint } = tensor;
  const [rowStride, columnStride, channelStride] = tensor.strides;
  const padded = paddedChannels(channels);
  // Not by visitElements: a caller waits for this, and it takes a seventh of a run of a mobile network.
  for (let row = 0; row < batch * height; row++) {
    const image = Math.floor(row / height);
    for (let c = 0; c < channels; c++) {
      let logical = image * (expected / batch) + (row - image * height) * rowStride + c * channelStride;
      let stored = row * width * padded + c;
      for (let w = 0; w < width; w++, logical += columnStride, stored += padded) {
        const value = values[logical];
        if (Number.isNaN(value)) {
          throw new InputError(`input "${tensor.name}" is not a number at index ${logical}`);
        }
        data[stored] = quantizeReal(value, scale, zeroPoint);
      }
    }
  }
  return data;
}

/** An output's values, row-major in the ONNX layout [batch, ...output.shape], in its declared type. */
export type OutputValues =
  | { readonly dtype: 'float32'; readonly data: Float32Array }
  | { readonly dtype: 'int8'; readonly data: Int8Array }
  | { readonly dtype: 'uint8'; readonly data: Uint8Array }
  /** What host stages compute. */
  | { readonly dtype: 'int16'; readonly data: Int16Array }
  | { readonly dtype: 'uint16'; readonly data: Uint16Array }
  /** int64 of values that 32 bits hold: others are an error of the run. */
  | { readonly dtype: 'int32' | 'int64'; readonly data: Int32Array }
  /** 0 or 1. */
  | { readonly dtype: 'bool'; readonly data: Uint8Array };

/**
 * The values of an output as the file declares them: real ones (`dequantizeOutput`), or integers.
 *
 * @param buffer the program's layout
 */
export function readOutput(
  output: ProgramOutput,
  tensor: ProgramTensor,
  buffer: Int8Array | Int32Array | Float32Array,
  batch: number,
): OutputValues {
  const { dtype } = output;
  if (dtype === 'float32') return { dtype, data: dequantizeTensor(tensor, buffer, batch) };
  switch (dtype) {
    case 'int8':
      return { dtype, data: Int8Array.from(logicalValues(tensor, buffer, batch)) };
    case 'uint8': {
      const offset = isHostTensor(tensor) ? 0 : 128;
      return { dtype, data: Uint8Array.from(logicalValues(tensor, buffer, batch), (q) => q + offset) };
    }
    case 'int16':
      return { dtype, data: Int16Array.from(buffer) };
    case 'uint16':
      return { dtype, data: Uint16Array.from(buffer) };
    case 'int32':
    case 'int64':
      return { dtype, data: Int32Array.from(buffer) };
    case 'bool':
      return { dtype, data: Uint8Array.from(buffer) };
  }
}

/**
 * A tensor's values in the row-major order of its logical shape, without padded lanes.
 *
 * @param buffer the program's layout
 */
export function logicalValues(tensor: ProgramTensor, buffer: TensorBuffer, batch: number): TensorBuffer {
  const [height, width, channels] = tensor.image;
  const count = batch * height * width * channels;
  // A host stage's have no padding and lie in order.
  if (isHostTensor(tensor)) return buffer.slice();
  const values = tensor.type === 'int8' ? new Int8Array(count) : new Int32Array(count);
  visitElements(tensor, batch, (stored, logical) => {
    values[logical] = buffer[stored];
  });
  return values;
}

/** Scale and zero point of an output's values as the file declares them; null of real ones. */
export function outputQuantization(
  { dtype }: ProgramOutput,
  tensor: ProgramTensor,
): { readonly scale: number | null; readonly zeroPoint: number | null } {
  if (dtype === 'float32' || isHostTensor(tensor)) return { scale: null, zeroPoint: null };
  const { scale, zeroPoint } = tensor;
  return { scale: scale as number, zeroPoint: dtype === 'uint8' ? zeroPoint + 128 : zeroPoint };
}

/**
 * Real values of a tensor in the row-major order of its logical shape: `scale · (q − zeroPoint)`.
 *
 * @param buffer the program's layout
 */
export function dequantizeTensor(
  tensor: ProgramTensor,
  buffer: Int8Array | Int32Array | Float32Array,
  batch: number,
): Float32Array {
  // A host stage's are what they are.
  if (isHostTensor(tensor)) return Float32Array.from(buffer);
  const [height, width, channels] = tensor.image;
  const { scale, zeroPoint } = tensor;
  const padded = paddedChannels(channels);
  const reals = new Float64Array(batch * height * width * channels);
  visitElements(tensor, batch, (stored, logical) => {
    const channelScale = typeof scale === 'number' ? scale : scale[stored % padded];
    reals[logical] = channelScale * (buffer[stored] - zeroPoint);
  });
  return Float32Array.from(reals);
}

/**
 * Integers of a tensor as stored, padded lanes at the zero point.
 *
 * @param values row-major, of the tensor's logical shape
 */
export function storeIntegers(tensor: Int8Tensor, values: Int8Array, batch: number): Int8Array {
  const data = new Int8Array(elementCount(tensor, batch)).fill(tensor.zeroPoint);
  const [height, width, channels] = tensor.image;
  const [rowStride, columnStride, channelStride] = tensor.strides;
  const padded = paddedChannels(channels);
  // As in `quantizeInput`, whose values these may be.
  for (let row = 0; row < batch * height; row++) {
    const image = Math.floor(row / height);
    for (let c = 0; c < channels; c++) {
      let logical =
        image * height * width * channels + (row - image * height) * rowStride + c * channelStride;
      let stored = row * width * padded + c;
      for (let w = 0; w < width; w++, logical += columnStride, stored += padded)
        data[stored] = values[logical];
    }
  }
  return data;
}

/** Calls `visit` with the index of each element as stored, and in the row-major order of the logical shape. */
export function visitElements(
  { image, strides }: Layout,
  batch: number,
  visit: (stored: number, logical: number) => void,
): void {
  const [height, width, channels] = image;
  const [rowStride, columnStride, channelStride] = strides;
  const padded = paddedChannels(channels);
  const perImage = height * width * channels;
  for (let n = 0; n < batch; n++) {
    for (let h = 0; h < height; h++) {
      for (let w = 0; w < width; w++) {
        const stored = ((n * height + h) * width + w) * padded;
        const logical = n * perImage + h * rowStride + w * columnStride;
        for (let c = 0; c < channels; c++) visit(stored + c, logical + c * channelStride);
      }
    }
  }
}
