/**
 * Reconstruction: the layers of a network are quantized one after the other, each behind its quantized predecessors, so that each makes up
 * for the errors before it as well as for its own.
 */
import * as v from 'valibot';
import { asyncOptions, check, options as optionsOf, text } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { indexGraph, type GraphIndex } from '../graph/graph-index.ts';
import { removeUnused } from '../graph/passes/remove-unused.ts';
import { roundReal } from '../program/pointwise.ts';
import type { AsyncOptions } from '../progress.ts';
import { chooseActivations, type Activation } from './activations.ts';
import { calibrationSchema, type Calibration } from './calibrate.ts';
import type { QuantizedValue, WeightedLayer } from './layers.ts';
import { openMatrixProduct, type MatrixProduct } from './matrix-product.ts';
import {
  batchSchema,
  onnxRuntimeOptions,
  openGraphSession,
  type Batch,
  type OnnxRuntimeOptions,
} from './onnx-runtime.ts';
import { rangeByOutput, type Consumer } from './output-range.ts';
import { centre, patchReader, spreadPositions, type PatchReader, type StoredValue } from './patches.ts';
import {
  checkOverrides,
  parseRecipe,
  roundingOf,
  staysFloat,
  weightRecipe,
  type Recipe,
  type RecipeInput,
  type WeightRecipe,
} from './recipe.ts';
import {
  descend,
  roundByGptq,
  searchScales,
  type IntegerGrid,
  type RoundedWeights,
  type RoundingProblem,
} from './rounding.ts';
import { chooseParameters, representedRange, type QuantizationParameters } from './scheme.ts';
import { submatrix } from './triangular.ts';
import {
  dequantizeWeights,
  finishLayer,
  quantizeLayer,
  widestScales,
  type QuantizedLayer,
} from './weights.ts';

export interface ReconstructionOptions extends AsyncOptions, OnnxRuntimeOptions {
  readonly recipe?: RecipeInput;
}

/** What reconstruction chose; `quantizeCalibrated` writes it into a graph. */
export interface Reconstruction {
  /** The recipe that it was made for. */
  readonly recipe: Recipe;
  /** By node name, of every weighted layer that is quantized. */
  readonly layers: ReadonlyMap<string, QuantizedLayer>;
  /** By value name, of every quantized value. */
  readonly activations: ReadonlyMap<string, QuantizationParameters>;
  /** Images used: fewer than given where all would not fit in memory. */
  readonly images: number;
}

/** A `Reconstruction`, as far as another object could be mistaken for it. */
export const reconstructionSchema = v.object(
  {
    recipe: v.looseObject({}),
    layers: v.map(text, v.object({ weights: v.instance(Int8Array) })),
    activations: v.map(text, v.looseObject({})),
  },
  'what reconstruct gave',
);

/** Bytes that the values of all images may take at once, float and quantized. */
const VALUE_BYTES = 1.5 * 2 ** 30;
/** Elements of one matrix of patches. */
const PATCH_ELEMENTS = 2 ** 26;
/** Positions that a layer of `features` inputs is rounded by, where the images have so many: more a feature where these are few. */
const positionsFor = (features: number) => Math.max(3 * features, Math.min(64 * features, 8192), 2048);
/** More features than this are treated as independent blocks: the matrix of their moments would not fit. */
const MAX_FEATURES = 6144;
/** Most bits at which the range of an activation is chosen by the output of the layer that reads it. */
const OUTPUT_RANGE_BITS = 6;
/** Added to the moments, as a share of their mean diagonal. */
const DAMPING = 0.01;
/** Rows of patches that are multiplied at once. */
const MOMENT_BLOCK = 1024;
/** Values of the layers that are run at once. */
const RUN_ELEMENTS = 2 ** 23;

/**
 * Rounds the weights of every layer by the recipe.
 *
 * @param images those that the model was calibrated on
 * @throws {InputError} where the recipe is wrong or there is no image
 */
export async function reconstruct(
  calibration: Calibration,
  images: readonly Batch[],
  options: ReconstructionOptions = {},
): Promise<Reconstruction> {
  check(
    'reconstruct',
    {
      calibration: calibrationSchema,
      images: v.array(batchSchema, 'an array of batches'),
      options: optionsOf({ ...asyncOptions, ...onnxRuntimeOptions }),
    },
    { calibration, images, options },
  );
  const recipe = parseRecipe(options.recipe);
  const { layers } = calibration;
  checkOverrides(
    recipe,
    [...layers.values.values(), ...layers.weighted.values()].map(({ names }) => names),
  );
  if (images.length === 0) throw new InputError('there is no image to reconstruct on: give at least one');
  const product = await openMatrixProduct(options);
  try {
    return await new Reconstructor(calibration, recipe, options, product).run(images);
  } finally {
    await product.dispose();
  }
}

/** The part of the graph between quantized values: what one of them is computed by. */
interface Region {
  readonly graph: Graph;
  /** Quantized values that it reads. */
  readonly inputs: readonly string[];
}

/** A value as the float network has it, and as the quantized one has it so far. */
interface ValuePair {
  readonly float: StoredValue;
  readonly quantized: StoredValue;
}

class Reconstructor {
  readonly #calibration: Calibration;
  readonly #recipe: Recipe;
  readonly #options: ReconstructionOptions;
  readonly #product: MatrixProduct;
  readonly #index: GraphIndex;
  readonly #activations: Map<string, Activation>;
  readonly #consumers: Map<string, { readonly layer: WeightedLayer; readonly value: string }>;
  readonly #values = new Map<string, ValuePair>();
  readonly #layers = new Map<string, QuantizedLayer>();

  constructor(
    calibration: Calibration,
    recipe: Recipe,
    options: ReconstructionOptions,
    product: MatrixProduct,
  ) {
    this.#calibration = calibration;
    this.#recipe = recipe;
    this.#options = options;
    this.#product = product;
    this.#index = indexGraph(calibration.graph);
    this.#activations = chooseActivations(calibration, recipe);
    this.#consumers = findConsumers(calibration);
  }

  async run(images: readonly Batch[]): Promise<Reconstruction> {
    const { graph, layers } = this.#calibration;
    const { signal, onProgress } = this.#options;
    const steps = this.#steps();
    const input = joinImages(images, this.#imageLimit(steps));
    const inputName = graph.inputs[0].name;
    await this.#store(inputName, input, input);
    let done = 0;
    const total = layers.weighted.size;
    for (const [position, step] of steps.entries()) {
      // Whoever aborts it in a worker does so by a message, which is heard only between tasks.
      if (signal) await new Promise((resolve) => setTimeout(resolve));
      signal?.throwIfAborted();
      if (step.layer) {
        onProgress?.({ stage: 'quantize', done: done++, total, item: step.layer.node.name });
        await this.#roundLayer(step.layer);
      }
      if (step.value && step.region) {
        const float = await this.#evaluate(step.value.name, step.region, 'float');
        const quantized = await this.#evaluate(step.value.name, step.region, 'quantized');
        await this.#store(step.value.name, float, quantized);
      }
      // What no later step reads makes room.
      for (const name of this.#values.keys()) {
        if (!steps.slice(position + 1).some(({ reads }) => reads.has(name))) this.#values.delete(name);
      }
    }
    onProgress?.({ stage: 'quantize', done: total, total });
    const activations = new Map([...this.#activations].map(([name, { parameters }]) => [name, parameters]));
    return { recipe: this.#recipe, layers: this.#layers, activations, images: input.shape[0] };
  }

  /** Layers to round and values to compute, in topological order. */
  #steps(): Step[] {
    const { graph, layers } = this.#calibration;
    const valueOf = new Map<Node, QuantizedValue>();
    for (const value of layers.values.values()) if (value.producer) valueOf.set(value.producer, value);
    const steps: Step[] = [];
    for (const node of graph.nodes) {
      const weighted = layers.weighted.get(node.name);
      const isRounded =
        weighted && this.#activations.has(weighted.input) && !staysFloat(this.#recipe, weighted.names);
      const layer = isRounded ? weighted : undefined;
      const value = valueOf.get(node);
      if (!layer && !value) continue;
      const region = value && this.#region(value.name);
      steps.push({
        layer,
        value,
        region,
        reads: new Set([...(layer ? [layer.input] : []), ...(region?.inputs ?? [])]),
      });
    }
    return steps;
  }

  /** What computes `name` from quantized values. */
  #region(name: string): Region {
    const { graph, layers } = this.#calibration;
    const inputs = new Set<string>();
    const nodes = new Set<Node>();
    const visit = (value: string): void => {
      if (value !== name && layers.values.has(value)) {
        inputs.add(value);
        return;
      }
      const node = this.#index.producer(value);
      if (!node || nodes.has(node)) return;
      nodes.add(node);
      node.inputs.forEach(visit);
    };
    visit(name);
    const info = (value: string) =>
      graph.values.get(value) ?? { name: value, dtype: 'float32' as const, shape: [] };
    return {
      inputs: [...inputs],
      graph: removeUnused({
        ...graph,
        inputs: [...inputs].map(info),
        outputs: [info(name)],
        nodes: graph.nodes.filter((node) => nodes.has(node)),
      }),
    };
  }

  /** Images of which all values fit in memory. */
  #imageLimit(steps: readonly Step[]): number {
    const { values } = this.#calibration.graph;
    const bytes = (name: string): number => {
      const [, ...image] = values.get(name)?.shape ?? [];
      // Float and int8, and while it is computed once more as float.
      return 9 * image.reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);
    };
    let peak = 1;
    const live = new Set<string>();
    for (const [position, { value, reads }] of steps.entries()) {
      for (const name of reads) live.add(name);
      if (value) live.add(value.name);
      peak = Math.max(
        peak,
        [...live].reduce((sum, name) => sum + bytes(name), 0),
      );
      for (const name of live)
        if (!steps.slice(position + 1).some((step) => step.reads.has(name))) live.delete(name);
    }
    return Math.max(1, Math.floor(VALUE_BYTES / peak));
  }

  /** Runs a region over all images. */
  async #evaluate(name: string, region: Region, stream: keyof ValuePair): Promise<StoredValue> {
    const { signal } = this.#options;
    const graph = stream === 'float' ? region.graph : this.#withRounded(region.graph);
    const session = await openGraphSession(graph, [name], this.#options);
    try {
      const inputs = region.inputs.map((input) => [input, this.#values.get(input)![stream]] as const);
      const images = inputs[0][1].shape[0];
      const declared = this.#calibration.graph.inputs[0].shape[0];
      const largest = Math.max(...inputs.map(([, { data }]) => data.length / images));
      const size = typeof declared === 'number' ? declared : Math.max(1, Math.floor(RUN_ELEMENTS / largest));
      let result: Float32Array | undefined;
      let shape: readonly number[] = [];
      for (let from = 0; from < images; from += size) {
        signal?.throwIfAborted();
        const to = Math.min(from + size, images);
        const feeds = new Map(inputs.map(([input, value]) => [input, realImages(value, from, to)]));
        const output = (await session.run(feeds)).get(name)!;
        const length = output.data.length / (to - from);
        result ??= new Float32Array(images * length);
        result.set(output.data, from * length);
        shape = output.shape;
      }
      return { data: result!, shape: [images, ...shape.slice(1)], scale: 1, zeroPoint: 0 };
    } finally {
      await session.dispose();
    }
  }

  /** `graph` with what the integers of finished layers stand for in place of their weights and biases. */
  #withRounded(graph: Graph): Graph {
    const constants = new Map(graph.constants);
    const nodes = graph.nodes.map((node) => {
      const rounded = this.#layers.get(node.name);
      if (!rounded) return node;
      const { input, weights, bias } = this.#calibration.layers.weighted.get(node.name)!;
      const put = (suffix: string, shape: readonly number[], data: Float32Array): string => {
        const name = `${node.name}/rounded/${suffix}`;
        constants.set(name, { name, dtype: 'float32', shape, data });
        return name;
      };
      const biases = Float32Array.from(rounded.bias, (b, c) => b * rounded.biasScales[c]);
      const weightData = dequantizeWeights(rounded.weights, rounded.scales);
      return {
        ...node,
        inputs: [input, put('weight', weights.shape, weightData), put('bias', [bias.length], biases)],
      };
    });
    return { ...graph, nodes, constants };
  }

  async #store(name: string, float: StoredValue, quantized: StoredValue): Promise<void> {
    await this.#chooseRange(name, float, quantized);
    const { scale, zeroPoint, qmin, qmax } = this.#activations.get(name)!.parameters;
    const data = new (qmax > 127 ? Int16Array : Int8Array)(quantized.data.length);
    for (let i = 0; i < data.length; i++) {
      const q = roundReal(quantized.data[i], scale, zeroPoint);
      data[i] = q < qmin ? qmin : q > qmax ? qmax : q;
    }
    this.#values.set(name, { float, quantized: { data, shape: quantized.shape, scale, zeroPoint } });
  }

  /** At few bits, the range of a value by the output of the first layer that reads it. */
  async #chooseRange(name: string, float: StoredValue, raw: StoredValue): Promise<void> {
    const { recipe, parameters } = this.#activations.get(name)!;
    const found = this.#consumers.get(name);
    if (!found || recipe.bits > OUTPUT_RANGE_BITS || recipe.observer !== 'mse') return;
    const consumer = await this.#consumer(name, found.layer, found.value, float, raw);
    if (!consumer) return;
    const range = await rangeByOutput(consumer, representedRange(parameters), recipe, this.#product);
    const activation = { recipe, parameters: chooseParameters(range, recipe.bits, recipe.scheme) };
    this.#activations.set(name, activation);
    for (const { name: other, sharedWith } of this.#calibration.layers.values.values()) {
      if (sharedWith === name) this.#activations.set(other, activation);
    }
  }

  /** What `layer` reads, `value`: `name` itself, or what is selected from it. */
  async #consumer(
    name: string,
    layer: WeightedLayer,
    value: string,
    float: StoredValue,
    raw: StoredValue,
  ): Promise<Consumer | undefined> {
    const pair = { float, quantized: raw };
    if (value !== name) {
      const region = this.#region(value);
      if (region.inputs.join() !== name) return undefined;
      // Selecting and rounding commute: the selection of the real values is what will be rounded.
      this.#values.set(name, pair);
      pair.float = await this.#evaluate(value, region, 'float');
      pair.quantized = await this.#evaluate(value, region, 'quantized');
    }
    const reader = patchReader(layer, pair.float.shape);
    return reader && { layer, reader, float: pair.float, raw: pair.quantized };
  }

  async #roundLayer(layer: WeightedLayer): Promise<void> {
    const recipe = weightRecipe(this.#recipe, layer.names);
    const inputScale = this.#activations.get(layer.input)!.parameters.scale;
    const pair = this.#values.get(layer.input)!;
    const reader = patchReader(layer, pair.float.shape);
    const quantized = reader
      ? await this.#roundPatches(layer, recipe, inputScale, reader, pair)
      : quantizeLayer(layer, inputScale, recipe);
    this.#layers.set(layer.node.name, quantized);
  }

  async #roundPatches(
    layer: WeightedLayer,
    recipe: WeightRecipe,
    inputScale: number,
    reader: PatchReader,
    { float, quantized }: ValuePair,
  ): Promise<QuantizedLayer> {
    const data = layer.weights.data as Float32Array;
    const [outChannels] = layer.weights.shape;
    const { groups, features } = reader;
    const rows = outChannels / groups;
    const method = roundingOf(recipe);
    const qmax = 2 ** (recipe.bits - 1) - 1;
    const grid: IntegerGrid = { qmin: recipe.bits <= 4 ? -qmax - 1 : -qmax, qmax };
    const widest = widestScales(layer, recipe, inputScale);
    const isNearest = method === 'nearest';
    const start = isNearest ? quantizeLayer(layer, inputScale, recipe) : undefined;
    const integers = start?.weights ?? new Int8Array(data.length);
    const scales = start?.scales ?? new Float32Array(widest);
    const bias = Float64Array.from(layer.bias);
    const total = float.shape[0] * reader.positions;
    const wanted = Math.min(positionsFor(features), Math.ceil(PATCH_ELEMENTS / features));
    const positions = spreadPositions(total, wanted);
    for (let group = 0; group < groups; group++) {
      this.#options.signal?.throwIfAborted();
      const x = reader.read(quantized, group, positions);
      const f = reader.read(float, group, positions);
      const from = group * rows;
      const weights = data.subarray(from * features, (from + rows) * features);
      const meanX = centre(x, features);
      const meanF = centre(f, features);
      if (!isNearest) {
        const groupWidest = recipe.perChannel
          ? widest.subarray(from, from + rows)
          : new Float32Array(rows).fill(widest[0]);
        for (let k = 0; k < f.length; k++) f[k] -= x[k];
        const rounded = await this.#roundGroup(
          weights,
          f,
          x,
          rows,
          features,
          grid,
          groupWidest,
          method,
          recipe.perChannel,
        );
        integers.set(rounded.integers, from * features);
        if (recipe.perChannel) scales.set(rounded.scales, from);
      }
      for (let o = 0, i = from * features; o < rows; o++) {
        const scale = scales[scales.length === 1 ? 0 : from + o];
        let shift = 0;
        for (let k = 0; k < features; k++, i++) shift += data[i] * meanF[k] - integers[i] * scale * meanX[k];
        if (this.#recipe.corrections.bias) bias[from + o] += shift;
      }
    }
    return finishLayer(layer, integers, scales, bias, inputScale, qmax);
  }

  /**
   * @param difference [features, positions]: centred inputs of the float network less those of the quantized one
   * @param x [features, positions]: centred inputs of the quantized network
   */
  async #roundGroup(
    weights: Float32Array,
    difference: Float32Array,
    x: Float32Array,
    channels: number,
    features: number,
    grid: IntegerGrid,
    widest: Float32Array,
    method: 'gptq' | 'descent',
    search: boolean,
  ): Promise<RoundedWeights> {
    const positions = x.length / features;
    const product = this.#product;
    // What the float network's outputs differ by because of the predecessors: correlated with x, weights can make up for it.
    const residual = await product.multiply(weights, difference, channels, features, positions);
    const isWhole = features <= MAX_FEATURES;
    const scales = search && !isWhole ? searchScales(weights, undefined, grid, widest) : widest;
    if (isWhole) return this.#roundBlock(weights, residual, x, channels, grid, scales, method, search);
    const integers = new Int8Array(weights.length);
    for (let from = 0; from < features; from += MAX_FEATURES) {
      const to = Math.min(from + MAX_FEATURES, features);
      const block = submatrix(weights, features, [0, channels], [from, to]);
      const inputs = x.subarray(from * positions, to * positions);
      const rounded = await this.#roundBlock(block, residual, inputs, channels, grid, scales, method, false);
      for (let c = 0, i = 0; c < channels; c++) {
        for (let k = from; k < to; k++, i++) {
          integers[c * features + k] = rounded.integers[i];
          block[i] -= rounded.integers[i] * scales[c];
        }
      }
      // The blocks that follow make up for what this one changes.
      const error = await product.multiply(block, inputs, channels, to - from, positions);
      for (let i = 0; i < error.length; i++) residual[i] += error[i];
    }
    return { integers, scales };
  }

  /** @param residual [channels, positions]: what the outputs lack beside `weights · x` */
  async #roundBlock(
    weights: Float32Array,
    residual: Float32Array,
    x: Float32Array,
    channels: number,
    grid: IntegerGrid,
    scales: Float32Array,
    method: 'gptq' | 'descent',
    search: boolean,
  ): Promise<RoundedWeights> {
    const features = weights.length / channels;
    const positions = x.length / features;
    const product = this.#product;
    const hessian = await moments(x, features, product);
    const target = await product.multiplyTransposed(residual, x, channels, positions, features);
    const plain = await product.multiply(weights, hessian, channels, features, features);
    for (let i = 0; i < target.length; i++) target[i] = target[i] / positions + plain[i];
    const problem: RoundingProblem = { channels, features, hessian, target };
    const rounded = await roundByGptq(problem, grid, scales, product, search);
    return method === 'descent' ? descend(problem, grid, rounded, product, search) : rounded;
  }
}

/** For each value that has a scale of its own, the first layer that reads it, or what is selected from it. */
function findConsumers({
  layers,
}: Calibration): Map<string, { readonly layer: WeightedLayer; readonly value: string }> {
  const consumers = new Map<string, { readonly layer: WeightedLayer; readonly value: string }>();
  for (const layer of layers.weighted.values()) {
    const value = layers.values.get(layer.input);
    const owner = value && (value.sharedWith ?? value.name);
    if (owner !== undefined && !consumers.has(owner)) consumers.set(owner, { layer, value: layer.input });
  }
  return consumers;
}

interface Step {
  readonly layer: WeightedLayer | undefined;
  readonly value: QuantizedValue | undefined;
  readonly region: Region | undefined;
  readonly reads: ReadonlySet<string>;
}

/** `x xᵀ` of [features, positions], divided by the positions and damped. */
async function moments(x: Float32Array, features: number, product: MatrixProduct): Promise<Float32Array> {
  const positions = x.length / features;
  const result = new Float32Array(features * features);
  for (let top = 0; top < features; top += MOMENT_BLOCK) {
    const rows = Math.min(MOMENT_BLOCK, features - top);
    for (let left = top; left < features; left += MOMENT_BLOCK) {
      const columns = Math.min(MOMENT_BLOCK, features - left);
      const block = await product.multiplyTransposed(
        x.subarray(top * positions, (top + rows) * positions),
        x.subarray(left * positions, (left + columns) * positions),
        rows,
        positions,
        columns,
      );
      for (let row = 0, i = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++, i++) {
          const value = block[i] / positions;
          result[(top + row) * features + left + column] = value;
          result[(left + column) * features + top + row] = value;
        }
      }
    }
  }
  let trace = 0;
  for (let k = 0; k < features; k++) trace += result[k * features + k];
  const damping = (DAMPING * trace) / features || 1;
  for (let k = 0; k < features; k++) result[k * features + k] += damping;
  return result;
}

function realImages(
  { data, shape, scale, zeroPoint }: StoredValue,
  from: number,
  to: number,
): { data: Float32Array; shape: number[] } {
  const length = data.length / shape[0];
  const part = data.subarray(from * length, to * length);
  const sizes = [to - from, ...shape.slice(1)];
  if (part instanceof Float32Array) return { data: part, shape: sizes };
  // Not `Float32Array.from`, which goes through an iterator: this is a third of all the time otherwise.
  const reals = new Float32Array(part.length);
  for (let i = 0; i < reals.length; i++) reals[i] = scale * (part[i] - zeroPoint);
  return { data: reals, shape: sizes };
}

/** The first `limit` images, as one value. */
function joinImages(batches: readonly Batch[], limit: number): StoredValue {
  const [, ...image] = batches[0].shape;
  const length = image.reduce((product, size) => product * size, 1);
  const images = Math.min(
    limit,
    batches.reduce((sum, { shape }) => sum + shape[0], 0),
  );
  const data = new Float32Array(images * length);
  let at = 0;
  for (const batch of batches) {
    const part = batch.data.subarray(0, data.length - at);
    data.set(part, at);
    at += part.length;
  }
  return { data, shape: [images, ...image], scale: 1, zeroPoint: 0 };
}
