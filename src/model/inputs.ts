/** What a caller gives as input, as the program takes it. */
import { describeValue } from '../arguments.ts';
import { InputError } from '../errors.ts';
import {
  normalizedPixels,
  pixelTable,
  quantizeInput,
  storeIntegers,
  visitElements,
} from '../program/input.ts';
import type { Preprocessing } from '../program/input.ts';
import {
  type FloatTensor,
  imageLayout,
  type ImageShape,
  int8Tensor,
  type Int8Tensor,
  nchw,
  paddedChannels,
  type ProgramInput,
  type ProgramTensor,
} from '../program/program.ts';
import { picturePixels } from './pictures.ts';
import type { PictureSource } from './pictures.ts';
import type { SessionInput } from '../schedule/session.ts';

/** uint8 pixels that are already of the network's size: [batch, height, width, channels], no padding. */
export interface PixelsInput {
  /** A GPUBuffer needs the webgpu backend on your own `device`, usage `COPY_SRC`, and its length rounded up to 4. */
  readonly pixels: Uint8Array | Uint8ClampedArray | GPUBuffer;
  /** How many images a GPUBuffer holds. Default: as many as fit. */
  readonly batch?: number;
  /** Sizes of each image, which only a model with open sizes needs to know. */
  readonly height?: number;
  readonly width?: number;
}

/** Values with their shape, for a model with open sizes: it runs at those of the tensor. */
export interface TensorInput {
  /** As in `RunInput`: real values, or integers quantized already. */
  readonly data: Float32Array | Int8Array;
  /** ONNX layout, the batch first. */
  readonly shape: readonly number[];
}

/**
 * Input of a run: real values in the ONNX layout [batch, channels, height, width] (Float32Array), integers quantized already in
 * the same layout (Int8Array), either with their shape, pixels, a picture, or pictures, one a batch entry.
 */
export type RunInput =
  Float32Array | Int8Array | TensorInput | PixelsInput | PictureSource | readonly PictureSource[];

/** An input of the program, and what pixels need on their way to it. */
export interface InputPort {
  readonly input: ProgramInput;
  readonly tensor: Int8Tensor | FloatTensor;
  /** Height, width and channels. */
  readonly image: ImageShape;
  /**
   * What takes pixels as the network's input, made on the first call.
   * @throws {InputError} nobody says how pixels are normalized, or for another number of channels
   */
  readonly pixels: () => PixelReader;
}

/** Takes [batch, height, width, channels]. */
type PixelReader = (pixels: Uint8Array | GPUBuffer, batch: number) => SessionInput;

export function inputPort(
  input: ProgramInput,
  tensor: ProgramTensor,
  preprocessing: Preprocessing | null,
): InputPort {
  let reader: PixelReader | undefined;
  const port = tensor.type === 'float32' ? tensor : int8Tensor(tensor);
  const image = imageOf(port);
  return {
    input,
    tensor: port,
    image,
    pixels() {
      if (!preprocessing) {
        throw new InputError(
          `input "${input.name}" cannot take pixels: the model file does not say how they are normalized; pass ` +
            'preprocessing: { mean, std } to loadModel, or quantize it with --mean and --std',
        );
      }
      reader ??= pixelReader(port, image, preprocessing);
      return reader;
    },
  };
}

/** Height, width and channels of one image of an input, which ONNX has as [N, C, H, W]. */
export function imageOf(tensor: ProgramTensor): ImageShape {
  return tensor.type === 'float32' ? imageLayout(tensor.shape)!.image : tensor.image;
}

function pixelReader(
  tensor: Int8Tensor | FloatTensor,
  image: ImageShape,
  preprocessing: Preprocessing,
): PixelReader {
  if (tensor.type === 'int8') {
    const table = pixelTable(tensor, preprocessing);
    return (pixels) => ({ kind: 'pixels', pixels, table });
  }
  const reals = normalizedPixels(preprocessing, image[2], tensor.name);
  return (pixels, batch) => {
    if (!(pixels instanceof Uint8Array)) {
      throw new InputError(
        `input "${tensor.name}" is read by a host stage, on the CPU: pass its pixels as a Uint8Array, not as a GPUBuffer`,
      );
    }
    const data = new Float32Array(pixels.length);
    const channels = image[2];
    visitElements(nchw(image), batch, (stored, logical) => {
      const channel = stored % paddedChannels(channels);
      const pixel = Math.floor(stored / paddedChannels(channels));
      data[logical] = reals[channel][pixels[pixel * channels + channel]];
    });
    return { kind: 'reals', data };
  };
}

/**
 * Checks and converts one input.
 * @throws {InputError} wrong type, length or values
 */
export function readInput(
  port: InputPort,
  value: RunInput,
): { readonly batch: number; readonly input: SessionInput } {
  if (isTensorInput(value)) {
    checkTensor(port, value);
    return readInput(port, value.data);
  }
  const {
    input: { name },
    tensor,
    image,
    pixels: reader,
  } = port;
  const [height, width, channels] = image;
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
    if (tensor.type === 'int8') {
      return { batch, input: { kind: 'quantized', data: quantizeInput(tensor, value, batch) } };
    }
    checkReals(name, value);
    // A copy, as all other kinds are: the caller may write the next frame over them before this run begins.
    return { batch, input: { kind: 'reals', data: new Float32Array(value) } };
  }
  if (value instanceof Int8Array) {
    if (tensor.type !== 'int8') {
      throw new InputError(
        `input "${name}" takes real values, which it is computed with: pass a Float32Array`,
      );
    }
    const batch = batchOf(value.length);
    return { batch, input: { kind: 'quantized', data: storeIntegers(tensor, value, batch) } };
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) {
    throw new InputError(
      `input "${name}" takes a Float32Array, an Int8Array, { data, shape }, { pixels } or pictures, not ${describeValue(value)}`,
    );
  }
  if ('pixels' in value) {
    const { pixels } = value;
    if ((value.height ?? height) !== height || (value.width ?? width) !== width) {
      throw new InputError(
        `the pixels of input "${name}" are ${value.height ?? height}×${value.width ?? width}, but the model takes ${height}×${width}`,
      );
    }
    if (pixels instanceof Uint8Array || pixels instanceof Uint8ClampedArray) {
      const batch = batchOf(pixels.length);
      return { batch, input: reader()(new Uint8Array(pixels), batch) };
    }
    if (!isGpuBuffer(pixels)) {
      throw new InputError(
        `the pixels of input "${name}" must be a Uint8Array or a GPUBuffer, not ${describeValue(pixels)}`,
      );
    }
    const batch = batchOf((value.batch ?? Math.floor(pixels.size / perImage)) * perImage);
    return { batch, input: reader()(pixels, batch) };
  }
  const pictures: readonly PictureSource[] = isList(value) ? value : [value];
  const batch = batchOf(pictures.length * perImage);
  const pixels = new Uint8Array(batch * perImage);
  for (const [index, picture] of pictures.entries()) {
    pixels.set(picturePixels(picture, height, width, channels), index * perImage);
  }
  return { batch, input: reader()(pixels, batch) };
}

/** @throws {InputError} `data` is of another type, or `shape` not the model's or not that of the data */
function checkTensor({ input: { name }, tensor }: InputPort, { data, shape }: TensorInput): void {
  if (!(data instanceof Float32Array || data instanceof Int8Array)) {
    throw new InputError(
      `the data of input "${name}" must be a Float32Array or an Int8Array, not ${describeValue(data)}`,
    );
  }
  const fits =
    shape.length === tensor.shape.length && shape.slice(1).every((size, i) => size === tensor.shape[i + 1]);
  if (!fits) {
    throw new InputError(
      `input "${name}" is given as [${shape.join(', ')}], but the model takes [${['N', ...tensor.shape.slice(1)].join(', ')}]`,
    );
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements !== data.length) {
    throw new InputError(
      `input "${name}" has the shape [${shape.join(', ')}], ${elements} values, but ${data.length} in its data`,
    );
  }
}

/** @throws {InputError} one is not a number */
function checkReals(name: string, values: Float32Array): void {
  const bad = values.findIndex(Number.isNaN);
  if (bad >= 0) throw new InputError(`input "${name}" is not a number at index ${bad}`);
}

export function isTensorInput(value: RunInput): value is TensorInput {
  return (
    typeof value === 'object' &&
    value !== null &&
    !ArrayBuffer.isView(value) &&
    'shape' in value &&
    Array.isArray(value.shape)
  );
}

export function isList(value: PictureSource | readonly PictureSource[]): value is readonly PictureSource[] {
  return Array.isArray(value);
}

function isGpuBuffer(value: unknown): value is GPUBuffer {
  const buffer = value as Partial<GPUBuffer> | null | undefined;
  return typeof buffer?.size === 'number' && typeof buffer.mapAsync === 'function';
}
