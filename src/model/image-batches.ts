/** Pictures as the float input of a network: what calibration and ONNX Runtime take. */
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { readPreprocessing, type Preprocessing } from '../program/input.ts';
import type { Batch } from '../quantize/onnx-runtime.ts';
import { resize, type ResizeOptions } from '../vision/resize.ts';
import type { Picture } from '../vision/picture.ts';

export interface ImageBatchOptions extends ResizeOptions {
  /** Images a batch; the last may be smaller. Default 16. */
  readonly batch?: number;
  /** Overrides what the model's metadata says. */
  readonly preprocessing?: Preprocessing;
}

/**
 * Resizes pictures to the input of `graph` and normalizes them: `(pixel / 255 − mean) / std`, rounded to float32, in the ONNX layout
 * [n, 3, height, width]. One batch is in memory at a time.
 * @throws {InputError} the input is no picture, or nobody says how pixels are normalized
 */
export async function* imageBatches(
  graph: Graph,
  pictures: Iterable<Picture> | AsyncIterable<Picture>,
  options: ImageBatchOptions = {},
): AsyncGenerator<Batch> {
  const { batch = 16, preprocessing = readPreprocessing(graph.metadata) } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new InputError(`the batch size must be a positive integer, not ${batch}`);
  }
  if (!preprocessing) {
    throw new InputError(
      'the model file does not say how pixels are normalized (metadata "mean" and "std"): pass preprocessing: { mean, std }',
    );
  }
  const { height, width } = inputSize(graph);
  const tables = [0, 1, 2].map((channel) => normalizedPixels(preprocessing, channel));
  const pixels = height * width;
  let data = new Float32Array(batch * 3 * pixels);
  let count = 0;
  for await (const picture of pictures) {
    const { data: rgb } = resize(picture, width, height, options);
    for (let channel = 0; channel < 3; channel++) {
      const table = tables[channel];
      const start = (count * 3 + channel) * pixels;
      for (let i = 0; i < pixels; i++) data[start + i] = table[rgb[i * 3 + channel]];
    }
    if (++count === batch) {
      // ONNX Runtime may run on this very thread: an abort, or Ctrl-C, is heard only between two batches.
      await new Promise((resolve) => setTimeout(resolve));
      yield { data, shape: [count, 3, height, width] };
      data = new Float32Array(batch * 3 * pixels);
      count = 0;
    }
  }
  if (count > 0) yield { data: data.subarray(0, count * 3 * pixels), shape: [count, 3, height, width] };
}

/** Height and width of the one picture that `graph` takes. */
function inputSize({ inputs }: Graph): { height: number; width: number } {
  const [input] = inputs;
  const [, channels, height, width] = input?.shape ?? [];
  if (inputs.length !== 1 || input.shape.length !== 4 || channels !== 3) {
    const shapes = inputs.map(({ name, shape }) => `"${name}" [${shape.join(', ')}]`).join(', ');
    throw new InputError(
      `the model must have one input [N, 3, height, width] to take pictures, it has ${shapes}`,
    );
  }
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new InputError(
      `the model's input "${input.name}" [${input.shape.join(', ')}] has no fixed height and width: export it with both fixed`,
    );
  }
  return { height, width };
}

function normalizedPixels({ mean, std }: Preprocessing, channel: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, pixel) => (pixel / 255 - mean[channel]) / std[channel]);
}
