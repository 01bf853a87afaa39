/** What the CPU backends do with a run's inputs, and every backend asks of them before it starts. */
import { InputError } from '../errors.ts';
import type { SessionInput } from './session.ts';
import {
  byteCount,
  elementCount,
  type IntegerProgram,
  paddedChannels,
  type ProgramTensor,
  type TensorBuffer,
  type TensorId,
} from '../program/program.ts';

/** Bytes that one tensor of a batch may take: 32-bit addresses reach no further. */
const MAX_TENSOR_BYTES = 2 ** 31;

/**
 * @param whole tensors that hold the whole batch at once
 * @throws {InputError} not a positive integer, or so large that a tensor of it could not be held
 */
export function checkBatch(batch: number, whole: readonly ProgramTensor[]): void {
  if (!Number.isSafeInteger(batch) || batch < 1) {
    throw new InputError(`the batch size must be a positive integer, got ${batch}`);
  }
  for (const tensor of whole) {
    if (byteCount(tensor, batch) > MAX_TENSOR_BYTES) {
      const most = Math.floor(MAX_TENSOR_BYTES / byteCount(tensor, 1));
      throw new InputError(
        `a batch of ${batch} is too large: tensor "${tensor.name}" holds at most ${most} images. Run it in parts`,
      );
    }
  }
}

/** Tensors of a program's inputs and outputs. */
export function portTensors({ inputs, outputs, tensors }: IntegerProgram): ProgramTensor[] {
  return [...inputs, ...outputs].map(({ tensor }) => tensors[tensor]);
}

/**
 * @param gpuBuffers whether the backend reads pixels from GPU buffers
 * @throws {InputError} the batch is not a positive integer, or an input is missing, of a kind that the backend does not read, or of the wrong size
 */
export function checkRun(
  program: IntegerProgram,
  inputs: ReadonlyMap<TensorId, SessionInput>,
  batch: number,
  { gpuBuffers = false } = {},
): void {
  const { inputs: ports, tensors } = program;
  checkBatch(batch, portTensors(program));
  for (const { name, tensor } of ports) {
    const input = inputs.get(tensor);
    if (!input) throw new InputError(`input "${name}" is missing`);
    if (input.kind === 'pixels' && !gpuBuffers && !(input.pixels instanceof Uint8Array)) {
      throw new InputError(
        `input "${name}": only the webgpu backend reads pixels from a GPUBuffer, pass a Uint8Array`,
      );
    }
    const isReal = tensors[tensor].type === 'float32';
    if (isReal !== (input.kind === 'reals')) {
      throw new InputError(
        `input "${name}" takes ${isReal ? 'real values' : 'integers or pixels'}, not ${input.kind}`,
      );
    }
    checkSize(name, tensors[tensor], input, batch);
  }
}

function checkSize(name: string, tensor: ProgramTensor, input: SessionInput, batch: number): void {
  if (input.kind !== 'pixels') {
    const expected = elementCount(tensor, batch);
    if (input.data.length === expected) return;
    throw new InputError(
      `input "${name}" for a batch of ${batch} has ${expected} elements, got ${input.data.length}`,
    );
  }
  const { pixels, table } = input;
  const [height, width, channels] = tensor.image;
  const expected = batch * height * width * channels;
  const length = pixels instanceof Uint8Array ? pixels.length : pixels.size;
  // A GPU buffer is copied in whole words, and may be larger.
  const fits = pixels instanceof Uint8Array ? length === expected : length >= Math.ceil(expected / 4) * 4;
  if (!fits) {
    throw new InputError(
      `input "${name}" for a batch of ${batch} is ${batch}×${height}×${width}×${channels} pixels, got ${length} bytes`,
    );
  }
  if (table.length !== channels * 256) {
    throw new InputError(
      `the pixel table of input "${name}" has ${channels}·256 entries, got ${table.length}`,
    );
  }
}

/**
 * Puts one input, checked, into its tensor.
 *
 * @param buffer the tensor in the program's layout: NHWC, padded lanes at the zero point
 */
export function writeInput(tensor: ProgramTensor, input: SessionInput, buffer: TensorBuffer): void {
  if (input.kind !== 'pixels') {
    buffer.set(input.data);
    return;
  }
  const to = buffer as Int8Array;
  const pixels = input.pixels as Uint8Array;
  const { table } = input;
  const channels = tensor.image[2];
  const stored = paddedChannels(channels);
  if (channels === 3 && to.byteOffset % 4 === 0) {
    writeColours(pixels, table, tensor.zeroPoint, new Int32Array(to.buffer, to.byteOffset, to.length / 4));
    return;
  }
  to.fill(tensor.zeroPoint);
  for (let from = 0, at = 0; from < pixels.length; from += channels, at += stored) {
    for (let c = 0; c < channels; c++) to[at + c] = table[c * 256 + pixels[from + c]];
  }
}

/** Three channels are a word with their padded lane: a third of the time that bytes take. The low byte comes first on all that runs JavaScript. */
function writeColours(pixels: Uint8Array, table: Int8Array, zeroPoint: number, words: Int32Array): void {
  const red = Int32Array.from({ length: 256 }, (_, p) => (table[p] & 255) | (zeroPoint << 24));
  const green = Int32Array.from({ length: 256 }, (_, p) => (table[256 + p] & 255) << 8);
  const blue = Int32Array.from({ length: 256 }, (_, p) => (table[512 + p] & 255) << 16);
  for (let i = 0, from = 0; from < pixels.length; i++, from += 3) {
    words[i] = red[pixels[from]] | green[pixels[from + 1]] | blue[pixels[from + 2]];
  }
}
