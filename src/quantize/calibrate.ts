/** Calibration: what ranges the activations of a float model have on real images. */
import * as v from 'valibot';
import { asyncOptions, check, index, iterable, options as optionsOf, text, texts } from '../arguments.ts';
import { InputError, ModelError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { graphSchema, nodeSchema, tensorSchema } from '../onnx/graph-schema.ts';
import { optimize } from '../graph/passes/optimize.ts';
import { isQuantized } from '../graph/patterns.ts';
import type { AsyncOptions } from '../progress.ts';
import { equalize } from './equalize.ts';
import { findLayers, type QuantizationLayers } from './layers.ts';
import { onnxRuntimeOptions, openFloatSession, type Batch, type OnnxRuntimeOptions } from './onnx-runtime.ts';
import { parseRecipe, type Recipe, type RecipeInput } from './recipe.ts';
import { ActivationStatistics } from './statistics.ts';
import { checkWeights } from './weights.ts';

export interface CalibrationOptions extends AsyncOptions, OnnxRuntimeOptions {
  /** `corrections.equalize` and `momentum` act during calibration; the rest of the recipe when the model is quantized. */
  readonly recipe?: RecipeInput;
  /** Number of images, for progress events. */
  readonly imageCount?: number;
}

/** What calls that run a float model over images take. The recipe has a check of its own. */
export const imageRunOptions = { ...asyncOptions, ...onnxRuntimeOptions, imageCount: index };

/** A calibrated model, from which int8 models are made at any bits and with any observer (`quantizeCalibrated`). */
export interface Calibration {
  /** The float graph, optimized and, where the recipe asks, equalized. */
  readonly graph: Graph;
  readonly layers: QuantizationLayers;
  /** By value name, of every quantized value. */
  readonly statistics: ReadonlyMap<string, ActivationStatistics>;
  readonly images: number;
}

const quantizedValue = v.object({
  name: text,
  producer: v.optional(nodeSchema),
  clamps: v.object({ nodes: v.array(nodeSchema), output: text, lo: v.number(), hi: v.number() }),
  sharedWith: v.optional(text),
  names: texts,
});

const weightedLayer = v.object({
  node: nodeSchema,
  input: text,
  weights: tensorSchema,
  bias: v.instance(Float32Array),
  names: texts,
});

/** A `Calibration`: what `calibrate` made, as far as another object could be mistaken for it. */
export const calibrationSchema = v.pipe(
  v.object(
    {
      graph: graphSchema,
      layers: v.object({ values: v.map(text, quantizedValue), weighted: v.map(text, weightedLayer) }),
      statistics: v.map(text, v.instance(ActivationStatistics)),
      images: index,
    },
    'what calibrate gave',
  ),
  v.check(
    ({ layers: { values }, statistics }) =>
      [...values].every(
        ([name, { sharedWith }]) =>
          statistics.has(name) && (sharedWith === undefined || values.has(sharedWith)),
      ),
    'what calibrate gave, statistics of every value included',
  ),
);

/**
 * Runs the float graph over the images and gathers statistics of every value that will be quantized. Memory does not grow with the
 * number of images.
 *
 * @throws {InputError} where there is no image or one does not fit
 * @throws {ModelError} where the model is quantized already, or a value
 * is NaN or infinite, naming the node that computes it
 */
export async function calibrate(
  graph: Graph,
  images: AsyncIterable<Batch> | Iterable<Batch>,
  options: CalibrationOptions = {},
): Promise<Calibration> {
  check(
    'calibrate',
    { graph: graphSchema, images: iterable, options: optionsOf(imageRunOptions) },
    { graph, images, options },
  );
  const { signal, onProgress, imageCount } = options;
  const recipe = parseRecipe(options.recipe);
  checkFloat(graph);
  const { prepared, layers } = prepareGraph(graph, recipe);
  const statistics = new Map(
    [...layers.values.keys()].map((name) => [name, new ActivationStatistics(recipe.momentum)]),
  );
  signal?.throwIfAborted();
  const inputName = prepared.inputs[0]?.name;
  const exposed = [...layers.values.keys()].filter((name) => name !== inputName);
  // A network of one layer: nothing but its input is quantized, but something must be computed.
  if (exposed.length === 0) exposed.push(...prepared.outputs.map(({ name }) => name));
  let done = 0;
  const session = await openFloatSession(prepared, exposed, options);
  try {
    for await (const batch of images) {
      signal?.throwIfAborted();
      const results = await session.run(batch);
      for (const [name, value] of layers.values) {
        const { data, shape } = name === inputName ? batch : results.get(name)!;
        const bad = statistics.get(name)!.add(data, shape);
        if (bad !== undefined) throw notFinite(bad, name, value.clamps.nodes.at(-1) ?? value.producer);
      }
      done += batch.shape[0];
      onProgress?.({ stage: 'calibrate', done, total: imageCount ?? done });
    }
  } finally {
    await session.dispose();
  }
  if (done === 0) {
    throw new InputError('the calibration set is empty: give at least one image, better a few hundred');
  }
  return { graph: prepared, layers, statistics, images: done };
}

/** A float graph as it is calibrated: optimized and, where the recipe asks, equalized. */
export function prepareGraph(
  graph: Graph,
  recipe: Recipe,
): { readonly prepared: Graph; readonly layers: QuantizationLayers } {
  const optimized = optimize(graph);
  const prepared = recipe.corrections.equalize ? equalize(optimized) : optimized;
  const layers = findLayers(prepared);
  checkWeights(layers.weighted.values());
  return { prepared, layers };
}

/** @throws {ModelError} where `graph` is no float model that could be quantized */
export function checkFloat(graph: Graph): void {
  const { inputs, outputs } = graph;
  if (isQuantized(graph)) {
    throw new ModelError('the model is quantized already: give the float model that it was made from');
  }
  for (const { name, dtype } of inputs) {
    if (dtype !== 'float32') {
      throw new ModelError(
        `the input "${name}" is ${dtype}: only models with float32 inputs can be quantized`,
      );
    }
  }
  for (const { name } of outputs) {
    if (inputs.some((input) => input.name === name)) {
      throw new ModelError(`the output "${name}" is an input of the model: there is nothing to quantize`);
    }
  }
}

function notFinite(
  value: number,
  name: string,
  node: { readonly name: string; readonly op: string } | undefined,
): Error {
  if (!node) {
    return new InputError(
      `an image holds ${value}, which no picture does: check its preprocessing (input "${name}")`,
    );
  }
  const reason = `computes ${value} for a calibration image, which cannot be quantized: check the weights before it`;
  return new ModelError([{ node: node.name, op: node.op, reason }]);
}
