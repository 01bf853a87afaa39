/** Pictures as the float input of a network: what calibration and ONNX Runtime take. */
import { check, count, iterable, options as optionsOf } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import {
  type InputShape,
  inputShapeAdvice,
  inputShapeSchema,
  withInputShape,
} from '../graph/passes/input-shape.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import {
  normalizedPixels,
  preprocessingSchema,
  readPreprocessing,
  type Preprocessing,
} from '../program/input.ts';
import type { Batch } from '../quantize/onnx-runtime.ts';
import type { Picture } from '../vision/picture.ts';
import { resizeOptions, type ResizeOptions } from '../vision/resize.ts';
import { picturePixels } from './pictures.ts';

export interface ImageBatchOptions extends ResizeOptions {
  /** Images a batch; the last may be smaller. Default 16. */
  readonly batch?: number;
  /** Overrides what the model's metadata says. */
  readonly preprocessing?: Preprocessing;
  /** Sizes of dimensions that the graph leaves open. */
  readonly inputShape?: InputShape;
}

/**
 * Resizes pictures to the input of `graph` and normalizes them: `(pixel / 255 − mean) / std`, rounded to float32, in the ONNX layout
 * [n, channels, height, width]; 3 channels are RGB, 1 is luma. One batch is in memory at a time.
 * @throws {InputError} the input is no picture, or nobody says how pixels are normalized
 */
export async function* imageBatches(
  graph: Graph,
  pictures: Iterable<Picture> | AsyncIterable<Picture>,
  options: ImageBatchOptions = {},
): AsyncGenerator<Batch> {
  check(
    'imageBatches',
    {
      graph: graphSchema,
      pictures: iterable,
      options: optionsOf({
        ...resizeOptions,
        batch: count,
        preprocessing: preprocessingSchema,
        inputShape: inputShapeSchema,
      }),
    },
    { graph, pictures, options },
  );
  const { batch = 16, preprocessing = readPreprocessing(graph.metadata) } = options;
  if (!preprocessing) {
    throw new InputError(
      'the model file does not say how pixels are normalized (metadata "mean" and "std"): pass preprocessing: { mean, std }, or ' +
        'quantize it with --mean and --std',
    );
  }
  const { name, channels, height, width } = pictureInput(
    options.inputShape ? withInputShape(graph, options.inputShape) : graph,
  );
  const tables = normalizedPixels(preprocessing, channels, name);
  const area = height * width;
  let data = new Float32Array(batch * channels * area);
  let filled = 0;
  for await (const picture of pictures) {
    const pixels = picturePixels(picture, height, width, channels, options);
    for (const [channel, table] of tables.entries()) {
      const start = (filled * channels + channel) * area;
      for (let i = 0; i < area; i++) data[start + i] = table[pixels[i * channels + channel]];
    }
    if (++filled === batch) {
      // ONNX Runtime may run on this very thread: an abort, or Ctrl-C, is heard only between two batches.
      await new Promise((resolve) => setTimeout(resolve));
      yield { data, shape: [filled, channels, height, width] };
      data = new Float32Array(batch * channels * area);
      filled = 0;
    }
  }
  if (filled > 0) {
    yield { data: data.subarray(0, filled * channels * area), shape: [filled, channels, height, width] };
  }
}

interface PictureInput {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** The one input of `graph`, where that is a picture. */
function pictureInput({ inputs }: Graph): PictureInput {
  const [input] = inputs;
  const [, channels, height, width] = input?.shape ?? [];
  if (inputs.length !== 1 || input.shape.length !== 4 || (channels !== 1 && channels !== 3)) {
    const shapes = inputs.map(({ name, shape }) => `"${name}" [${shape.join(', ')}]`).join(', ');
    throw new InputError(
      `the model must have one input [N, 3, height, width] (or 1 channel) to take pictures, it has ${shapes}`,
    );
  }
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new InputError(
      `the model's input "${input.name}" [${input.shape.join(', ')}] has no fixed height and width: ${inputShapeAdvice([input])}`,
    );
  }
  return { name: input.name, channels, height, width };
}
