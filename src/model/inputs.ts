/** What a caller gives as input, as the program takes it. */
import { describeValue } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { pixelTable, quantizeInput, storeIntegers } from '../program/input.ts';
import type { Preprocessing } from '../program/input.ts';
import { type Int8Tensor, int8Tensor, type ProgramInput, type ProgramTensor } from '../program/program.ts';
import { picturePixels } from './pictures.ts';
import type { PictureSource } from './pictures.ts';
import type { SessionInput } from '../schedule/session.ts';

/** uint8 pixels that are already of the network's size: [batch, height, width, channels], no padding. */
export interface PixelsInput {
  /** A GPUBuffer needs the webgpu backend on your own `device`, usage `COPY_SRC`, and its length rounded up to 4. */
  readonly pixels: Uint8Array | Uint8ClampedArray | GPUBuffer;
  /** How many images a GPUBuffer holds. Default: as many as fit. */
  readonly batch?: number;
}

/**
 * Input of a run: real values in the ONNX layout [batch, channels, height, width] (Float32Array), integers quantized already in
 * the same layout (Int8Array), pixels, a picture, or pictures, one a batch entry.
 */
export type RunInput = Float32Array | Int8Array | PixelsInput | PictureSource | readonly PictureSource[];

/** An input of the program, and what pixels need on their way to it. */
export interface InputPort {
  readonly input: ProgramInput;
  readonly tensor: Int8Tensor;
  /**
   * The table that quantizes pixels, made on the first call.
   * @throws {InputError} nobody says how pixels are normalized, or for another number of channels
   */
  readonly table: () => Int8Array;
}

export function inputPort(
  input: ProgramInput,
  tensor: ProgramTensor,
  preprocessing: Preprocessing | null,
): InputPort {
  let table: Int8Array | undefined;
  const int8 = int8Tensor(tensor);
  return {
    input,
    tensor: int8,
    table() {
      if (!preprocessing) {
        throw new InputError(
          `input "${input.name}" cannot take pixels: the model file does not say how they are normalized; pass ` +
            'preprocessing: { mean, std } to loadModel, or quantize it with --mean and --std',
        );
      }
      table ??= pixelTable(int8, preprocessing);
      return table;
    },
  };
}

/**
 * Checks and converts one input.
 * @throws {InputError} wrong type, length or values
 */
export function readInput(
  { input: { name }, tensor, table }: InputPort,
  value: RunInput,
): { readonly batch: number; readonly input: SessionInput } {
  const [height, width, channels] = tensor.image;
  const perImage = height * width * channels;
  const batchOf = (length: number): number => {
    const batch = length / perImage;
    if (!Number.isInteger(batch) || batch < 1) {
      throw new InputError(
        `input "${name}" has ${perImage} values an image (${channels} channels of ${height}×${width}), so their number must be a ` +
          `multiple of that, not ${length}`,
      );
    }
    return batch;
  };

  if (value instanceof Float32Array) {
    const batch = batchOf(value.length);
    return { batch, input: { kind: 'quantized', data: quantizeInput(tensor, value, batch) } };
  }
  if (value instanceof Int8Array) {
    const batch = batchOf(value.length);
    return { batch, input: { kind: 'quantized', data: storeIntegers(tensor, value, batch) } };
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) {
    throw new InputError(
      `input "${name}" takes a Float32Array, an Int8Array, { pixels } or pictures, not ${describeValue(value)}`,
    );
  }
  if ('pixels' in value) {
    const { pixels } = value;
    if (pixels instanceof Uint8Array || pixels instanceof Uint8ClampedArray) {
      const batch = batchOf(pixels.length);
      // A copy, as all other kinds are: the caller may write the next frame over them before this run begins.
      return { batch, input: { kind: 'pixels', pixels: new Uint8Array(pixels), table: table() } };
    }
    if (!isGpuBuffer(pixels)) {
      throw new InputError(
        `the pixels of input "${name}" must be a Uint8Array or a GPUBuffer, not ${describeValue(pixels)}`,
      );
    }
    const batch = value.batch ?? Math.floor(pixels.size / perImage);
    return { batch: batchOf(batch * perImage), input: { kind: 'pixels', pixels, table: table() } };
  }
  const pictures: readonly PictureSource[] = isList(value) ? value : [value];
  const pixels = new Uint8Array(batchOf(pictures.length * perImage) * perImage);
  for (const [index, picture] of pictures.entries()) {
    pixels.set(picturePixels(picture, height, width, channels), index * perImage);
  }
  return { batch: pictures.length, input: { kind: 'pixels', pixels, table: table() } };
}

function isList(value: PictureSource | readonly PictureSource[]): value is readonly PictureSource[] {
  return Array.isArray(value);
}

function isGpuBuffer(value: unknown): value is GPUBuffer {
  const buffer = value as Partial<GPUBuffer> | null | undefined;
  return typeof buffer?.size === 'number' && typeof buffer.mapAsync === 'function';
}
