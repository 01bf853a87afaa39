/**
 * Quantization: a float graph and images in, a QDQ graph out. QDQ is standard ONNX: float operators between
 * QuantizeLinear/DequantizeLinear pairs, which any runtime can execute and Octet lowers to integers.
 */
import * as v from 'valibot';
import { check, iterable, options as optionsOf } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Graph, Node, Tensor, TensorData } from '../graph/graph.ts';
import { packedBits } from '../graph/dtypes.ts';
import { inferShapes } from '../graph/infer-shapes.ts';
import { clip } from '../graph/operators/clip.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { operatorOf } from '../graph/operators/registry.ts';
import { raiseOpset } from '../graph/passes/raise-opset.ts';
import { relu } from '../graph/operators/relu.ts';
import { type Names, valueNames } from '../graph/rewrite.ts';
import { log } from '../numerics/elementary.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import { roundReal } from '../program/pointwise.ts';
import { chooseActivations, type Activation } from './activations.ts';
import { biasCorrection } from './bias-correction.ts';
import {
  calibrate,
  calibrationSchema,
  imageRunOptions,
  type Calibration,
  type CalibrationOptions,
} from './calibrate.ts';
import type { QuantizedValue, WeightedLayer } from './layers.ts';
import { clippedShare, squaredError } from './observers.ts';
import type { Batch } from './onnx-runtime.ts';
import {
  checkOverrides,
  parseRecipe,
  mayReconstruct,
  roundingOf,
  staysFloat,
  weightRecipe,
  type Recipe,
  type RecipeInput,
} from './recipe.ts';
import { reconstruct, reconstructionSchema, type Reconstruction } from './reconstruct.ts';
import { chooseParameters, quantizeValue, representedRange, type RealRange, type Scheme } from './scheme.ts';
import type { ActivationStatistics } from './statistics.ts';
import { dequantizeWeights, quantizeLayer, type QuantizedLayer } from './weights.ts';

/** What quantization did to the weights of a layer. */
export interface WeightReport {
  readonly bits: number;
  readonly perChannel: boolean;
  /** Largest weight in magnitude. */
  readonly largest: number;
  /** Smallest and largest scale over the channels. */
  readonly scale: RealRange;
  /** Share of the weights beyond the largest integer. */
  readonly clippedShare: number;
  /** Signal-to-quantization-noise ratio in decibels; Infinity where rounding changed nothing. */
  readonly sqnr: number;
}

/** What quantization did to an activation, measured over the calibration images. */
export interface ActivationReport {
  readonly bits: number;
  readonly scheme: Scheme;
  /** Values seen. */
  readonly observed: RealRange;
  /** Values that the quantizer represents. */
  readonly range: RealRange;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly clippedShare: number;
  /** In decibels, from the histogram. */
  readonly sqnr: number;
}

/** One row of the report: a graph input, or a node with its fused activation. */
export interface LayerReport {
  /** Name of the node, or of the graph input. */
  readonly name: string;
  /** ONNX operator, e.g. `Conv` or `Conv+Relu`; `Input` for a graph input. */
  readonly op: string;
  /** Name of the value that the layer computes. */
  readonly value: string;
  readonly weights?: WeightReport;
  /** Missing where the output stays float: the last layer. */
  readonly activation?: ActivationReport;
}

export interface QuantizationReport {
  readonly recipe: Recipe;
  /** Images calibrated on. */
  readonly images: number;
  readonly layers: readonly LayerReport[];
  /** Bytes of all constants: as float32, and in the quantized graph. */
  readonly floatBytes: number;
  readonly quantizedBytes: number;
}

export interface QuantizationResult {
  /** The QDQ graph. Write it with `encodeModel`. */
  readonly graph: Graph;
  readonly report: QuantizationReport;
}

export interface QuantizeOptions extends CalibrationOptions {
  /** What an earlier calibration of the same graph and images gave: they are not run again. */
  readonly calibration?: Calibration;
}

/**
 * Calibrates a float graph on images and quantizes it.
 *
 * @param images batches of preprocessed images (`imageBatches` makes them from pictures)
 * @throws {InputError} where the recipe is wrong or there is no image
 * @throws {ModelError} where weights or activations are NaN or infinite
 */
export async function quantize(
  graph: Graph,
  images: AsyncIterable<Batch> | Iterable<Batch>,
  options: QuantizeOptions = {},
): Promise<QuantizationResult> {
  check(
    'quantize',
    {
      graph: graphSchema,
      images: iterable,
      options: optionsOf({ ...imageRunOptions, calibration: calibrationSchema }),
    },
    { graph, images, options },
  );
  const recipe = parseRecipe(options.recipe);
  const kept: Batch[] = [];
  const seen = mayReconstruct(recipe) ? keeping(images, kept) : images;
  const calibration = options.calibration ?? (await calibrate(graph, seen, { ...options, recipe }));
  options.signal?.throwIfAborted();
  if (!reconstructs(calibration, recipe)) return quantizeCalibrated(calibration, recipe);
  if (options.calibration) for await (const batch of images) kept.push(batch);
  return quantizeCalibrated(
    calibration,
    recipe,
    await reconstruct(calibration, kept, { ...options, recipe }),
  );
}

/** Passes batches on and keeps them. */
async function* keeping(
  images: AsyncIterable<Batch> | Iterable<Batch>,
  kept: Batch[],
): AsyncGenerator<Batch> {
  for await (const batch of images) {
    kept.push(batch);
    yield batch;
  }
}

/** Whether a recipe has weights rounded by what their layers see, which takes the images again. */
function reconstructs({ layers }: Calibration, recipe: Recipe): boolean {
  return [...layers.weighted.values()].some(
    ({ names }) => !staysFloat(recipe, names) && roundingOf(weightRecipe(recipe, names)) !== 'nearest',
  );
}

/** @throws {InputError} where the recipe asks for what only a reconstruction gives, or another recipe than the reconstruction's */
function checkReconstruction(
  { layers }: Calibration,
  recipe: Recipe,
  reconstruction: Reconstruction | undefined,
): void {
  if (reconstruction) {
    if (JSON.stringify(reconstruction.recipe) === JSON.stringify(recipe)) return;
    throw new InputError('the reconstruction was made by another recipe: call reconstruct with this one');
  }
  const asking = [...layers.weighted.values()].find(({ names }) => {
    if (staysFloat(recipe, names)) return false;
    const { rounding } = weightRecipe(recipe, names);
    return rounding === 'gptq' || rounding === 'descent';
  });
  if (asking) {
    throw new InputError(
      `the recipe has the weights of "${asking.node.name}" rounded by what the layer computes, which takes pictures: pass what reconstruct gave, or call quantize`,
    );
  }
}

/**
 * Quantizes a calibrated model. May be called many times: what `calibrate` gathered serves any bits, observer and scheme.
 *
 * @param reconstruction what `reconstruct` gave for the same recipe; without it all weights are rounded to nearest
 * @throws {InputError} where the recipe is wrong, one of its patterns matches no layer, or it asks for a rounding that takes pictures
 */
export function quantizeCalibrated(
  calibration: Calibration,
  source?: RecipeInput,
  reconstruction?: Reconstruction,
): QuantizationResult {
  check(
    'quantizeCalibrated',
    { calibration: calibrationSchema, reconstruction: v.optional(reconstructionSchema) },
    { calibration, reconstruction },
  );
  const recipe = parseRecipe(source);
  const { graph, layers } = calibration;
  checkReconstruction(calibration, recipe, reconstruction);
  checkOverrides(
    recipe,
    [...layers.values.values(), ...layers.weighted.values()].map(({ names }) => names),
  );
  const activations = chooseActivations(calibration, recipe);
  for (const [name, parameters] of reconstruction?.activations ?? []) {
    const chosen = activations.get(name);
    if (chosen) activations.set(name, { ...chosen, parameters });
  }
  const rounded = new Map([...layers.weighted].filter(([, { names }]) => !staysFloat(recipe, names)));
  const wide = [...activations].find(([, { parameters }]) => parameters.qmax > 127)?.[0];
  if (wide !== undefined && recipe.opset < OPSET_OF.int16) {
    throw new InputError(
      `the recipe gives "${wide}" 16 bits, which come with opset ${OPSET_OF.int16}, but its opset is ${recipe.opset}: raise it, or take 8 bits`,
    );
  }
  const form = storageForm(graph, rounded.values(), recipe, wide !== undefined);
  if (wide !== undefined && form.graph.opset < OPSET_OF.int16) {
    throw new InputError(
      `the recipe gives "${wide}" 16 bits, which come with opset ${OPSET_OF.int16}, to which this graph of opset ${graph.opset} cannot be raised: take 8 bits`,
    );
  }
  const writer = new QdqWriter(form.graph);
  const weightReports = new Map<string, WeightReport>();

  for (const [name, value] of layers.values) {
    if (!value.producer) writer.quantizeActivation(value, activations.get(name)!);
  }
  /** The value that a node's result is quantized as, by the node's name. */
  const valueOf = new Map<string, QuantizedValue>();
  for (const value of layers.values.values()) if (value.producer) valueOf.set(value.producer.name, value);
  const clamping = new Set([...layers.values.values()].flatMap(({ clamps }) => clamps.nodes));
  for (const node of form.graph.nodes) {
    if (clamping.has(node)) continue;
    const value = valueOf.get(node.name);
    const layer = rounded.get(node.name);
    const inputActivation = layer && activations.get(layer.input);
    let inputs: readonly string[];
    if (layer && inputActivation) {
      const options = weightRecipe(recipe, layer.names);
      const means = (): Float64Array => calibration.statistics.get(layer.input)!.channelMeans();
      const quantized =
        reconstruction?.layers.get(node.name) ??
        quantizeLayer(
          layer,
          inputActivation.parameters.scale,
          options,
          recipe.corrections.bias ? (rounded) => biasCorrection(graph, layer, rounded, means()) : undefined,
        );
      inputs = [
        writer.read(layer.input),
        ...writer.writeLayer(layer, clipBias(quantized, recipe), form.dtypeOf(options.bits)),
      ];
      weightReports.set(node.name, reportWeights(layer, quantized, options));
    } else {
      const isJoin = value !== undefined && operatorOf(graph, node)?.binary !== undefined;
      inputs = node.inputs.map((name) => (isJoin ? writer.readOperand(name) : writer.read(name)));
    }
    writer.writeNode({ ...node, inputs }, value, value && activations.get(value.name));
  }

  const quantizedGraph = writer.finish(recipe, calibration.images);
  return {
    graph: quantizedGraph,
    report: {
      recipe,
      images: calibration.images,
      layers: reportLayers(calibration, activations, weightReports),
      floatBytes: constantBytes(graph),
      quantizedBytes: constantBytes(quantizedGraph),
    },
  };
}

function clipBias(layer: QuantizedLayer, { biasBits }: Recipe): QuantizedLayer {
  const largest = 2 ** (biasBits - 1) - 1;
  return { ...layer, bias: layer.bias.map((q) => Math.min(Math.max(q, -largest - 1), largest)) };
}

/** What weights are stored as. */
type StoredType = 'int8' | 'int4' | 'int2';

/** Opset in which DequantizeLinear takes the type. */
const OPSET_OF: Readonly<Record<StoredType | 'int16', number>> = { int8: 13, int16: 21, int4: 21, int2: 25 };

/** How the weights of a graph are stored: packed as far as the recipe and its nodes allow; and the graph in the opset that takes. */
function storageForm(
  graph: Graph,
  layers: Iterable<WeightedLayer>,
  recipe: Recipe,
  hasWideActivations: boolean,
): { readonly graph: Graph; readonly dtypeOf: (bits: number) => StoredType } {
  const dtypeWithin =
    (opset: number) =>
    (bits: number): StoredType => {
      if (bits <= 2 && opset >= OPSET_OF.int2) return 'int2';
      return bits <= 4 && opset >= OPSET_OF.int4 ? 'int4' : 'int8';
    };
  const wanted = dtypeWithin(recipe.opset);
  const needed = [...layers].map(({ names }) => OPSET_OF[wanted(weightRecipe(recipe, names).bits)]);
  if (hasWideActivations) needed.push(OPSET_OF.int16);
  const raised = raiseOpset(graph, Math.max(graph.opset, ...needed));
  return raised ? { graph: raised, dtypeOf: wanted } : { graph, dtypeOf: dtypeWithin(graph.opset) };
}

/** Builds the QDQ graph node by node. */
class QdqWriter {
  readonly #source: Graph;
  readonly #nodes: Node[] = [];
  readonly #constants = new Map<string, Tensor>();
  readonly #outputs: ReadonlySet<string>;
  /** Names of values, constants and nodes. */
  readonly #names: Names;
  /** Float value → name to read it by: its DequantizeLinear's output. */
  readonly #dequantized = new Map<string, string>();
  /** Value that owns a scale → names of its scale and zero point constants. */
  readonly #parameterNames = new Map<string, readonly [string, string]>();

  constructor(source: Graph) {
    this.#source = source;
    this.#outputs = new Set(source.outputs.map(({ name }) => name));
    this.#names = valueNames(source);
    for (const { name } of source.nodes) this.#names.add(name);
  }

  /** The name under which a node of the QDQ graph reads the float value `name`. Copies constants over. */
  read(name: string): string {
    const constant = this.#source.constants.get(name);
    if (constant) this.#constants.set(name, constant);
    return this.#dequantized.get(name) ?? name;
  }

  /**
   * The same for a value that is joined with another element by element: a constant that varies along several axes is a tensor of
   * integers like what it is joined with, where one of a single axis is part of a table.
   */
  readOperand(name: string): string {
    const constant = this.#source.constants.get(name);
    const isOfPlaces = constant && constant.shape.filter((size) => size > 1).length > 1;
    if (!isOfPlaces || !(constant.data instanceof Float32Array)) return this.read(name);
    const known = this.#dequantized.get(name);
    if (known !== undefined) return known;
    let [min, max] = [0, 0];
    for (const real of constant.data) {
      min = Math.min(min, real);
      max = Math.max(max, real);
    }
    const parameters = chooseParameters({ min, max }, 8, 'affine');
    const integers = Int8Array.from(constant.data, (real) => quantizeValue(real, parameters));
    const dequantized = this.#emit(dequantizeLinear.op, `${name}_dequantized`, [
      this.#constant(`${name}_quantized`, 'int8', constant.shape, integers),
      this.#constant(`${name}_scale`, 'float32', [], Float32Array.of(parameters.scale)),
      this.#constant(`${name}_zero_point`, 'int8', [], Int8Array.of(parameters.zeroPoint)),
    ]);
    this.#dequantized.set(name, dequantized);
    return dequantized;
  }

  /** Weights and bias of a layer as constants with a DequantizeLinear each; returns the names to read them by. */
  writeLayer(
    { node, weights, bias }: WeightedLayer,
    quantized: QuantizedLayer,
    dtype: StoredType,
  ): [string, string] {
    const { scales, biasScales } = quantized;
    const perChannel = scales.length > 1 || weights.shape[0] === 1;
    const scaleShape = perChannel ? [scales.length] : [];
    const axis = { axis: 0 };
    const weightName = this.#constant(
      `${node.name}_weight_quantized`,
      dtype,
      weights.shape,
      quantized.weights,
    );
    const weight = this.#emit(
      dequantizeLinear.op,
      `${node.name}_weight`,
      [
        weightName,
        this.#constant(`${node.name}_weight_scale`, 'float32', scaleShape, scales),
        this.#constant(`${node.name}_weight_zero_point`, dtype, scaleShape, new Int8Array(scales.length)),
      ],
      perChannel ? axis : {},
    );
    // ONNX Runtime wants bias scales of the weights' kind. No zero point: the specification gives int32 none.
    const biasScale = perChannel ? biasScales : biasScales.slice(0, 1);
    const biasValue = this.#emit(
      dequantizeLinear.op,
      `${node.name}_bias`,
      [
        this.#constant(`${node.name}_bias_quantized`, 'int32', [bias.length], quantized.bias),
        this.#constant(`${node.name}_bias_scale`, 'float32', scaleShape, biasScale),
      ],
      perChannel ? axis : {},
    );
    return [weight, biasValue];
  }

  /** A node whose inputs are in place; its result is quantized as `value`, or stays float. */
  writeNode(node: Node, value: QuantizedValue | undefined, activation: Activation | undefined): void {
    if (!value || !activation) {
      this.#nodes.push(node);
      return;
    }
    const result = this.#outputs.has(value.name) ? this.#unique(`${value.name}_float`) : value.name;
    const clamp = clampFor(value, activation);
    if (!clamp) {
      this.#nodes.push({ ...node, outputs: [result, ...node.outputs.slice(1)] });
    } else {
      const before =
        value.clamps.nodes.length > 0 ? node.outputs[0] : this.#unique(`${value.name}_unclipped`);
      this.#nodes.push({ ...node, outputs: [before, ...node.outputs.slice(1)] });
      this.#writeClamp(clamp, before, result, value);
    }
    this.#writePair(result, value, activation);
  }

  /** Quantizes a graph input. */
  quantizeActivation(value: QuantizedValue, activation: Activation): void {
    const clamp = clampFor(value, activation);
    let name = value.name;
    if (clamp) {
      name = this.#unique(`${value.name}_clipped`);
      this.#writeClamp(clamp, value.name, name, value);
    }
    this.#writePair(name, value, activation);
  }

  finish(recipe: Recipe, images: number): Graph {
    const metadata = new Map(this.#source.metadata);
    metadata.set('octet.recipe', JSON.stringify(recipe));
    metadata.set('octet.calibration', JSON.stringify({ images }));
    return inferShapes({
      ...this.#source,
      nodes: this.#nodes,
      constants: this.#constants,
      values: new Map(),
      metadata,
    });
  }

  #writeClamp(clamp: Clamp, from: string, to: string, value: QuantizedValue): void {
    const name = value.clamps.nodes[0]?.name ?? this.#unique(`${value.name}_clip`);
    const bound = (suffix: string, x: number): string =>
      this.#constant(`${value.name}_${suffix}`, 'float32', [], Float32Array.of(x));
    this.#nodes.push(
      clamp === 'positive'
        ? { name, op: relu.op, inputs: [from], outputs: [to], attributes: {} }
        : {
            name,
            op: clip.op,
            inputs: [from, bound('clip_min', clamp.min), bound('clip_max', clamp.max)],
            outputs: [to],
            attributes: {},
          },
    );
  }

  #writePair(from: string, value: QuantizedValue, { parameters }: Activation): void {
    const { name } = value;
    const owner = value.sharedWith ?? name;
    let parameterNames = this.#parameterNames.get(owner);
    if (!parameterNames) {
      parameterNames = [
        this.#constant(`${owner}_scale`, 'float32', [], Float32Array.of(parameters.scale)),
        parameters.qmax > 127
          ? this.#constant(`${owner}_zero_point`, 'int16', [], Int16Array.of(parameters.zeroPoint))
          : this.#constant(`${owner}_zero_point`, 'int8', [], Int8Array.of(parameters.zeroPoint)),
      ];
      this.#parameterNames.set(owner, parameterNames);
    }
    const quantized = this.#emit(quantizeLinear.op, `${name}_quantized`, [from, ...parameterNames]);
    const target = this.#outputs.has(name) ? name : this.#unique(`${name}_dequantized`);
    this.#nodes.push({
      name: this.#unique(`${name}_DequantizeLinear`),
      op: dequantizeLinear.op,
      inputs: [quantized, ...parameterNames],
      outputs: [target],
      attributes: {},
    });
    this.#dequantized.set(name, target);
  }

  #emit(op: string, output: string, inputs: readonly string[], attributes: Node['attributes'] = {}): string {
    const name = this.#unique(output);
    this.#nodes.push({ name: this.#unique(`${output}_${op}`), op, inputs, outputs: [name], attributes });
    return name;
  }

  #constant(name: string, dtype: Tensor['dtype'], shape: readonly number[], data: TensorData): string {
    const unique = this.#unique(name);
    this.#constants.set(unique, { name: unique, dtype, shape, data });
    return unique;
  }

  #unique(name: string): string {
    return this.#names.fresh(name);
  }
}

/** At zero from below, or at both ends. */
type Clamp = 'positive' | RealRange;

/**
 * The clamp that must precede a QuantizeLinear, which itself saturates at int8 or int16: none where the clamps of the float graph and the
 * N-bit range leave nothing else to clip, else Relu, or Clip at bounds that are exact multiples of the scale.
 */
function clampFor({ clamps, sharedWith }: QuantizedValue, { parameters }: Activation): Clamp | undefined {
  // Selected values lie in the range already.
  if (sharedWith !== undefined) return undefined;
  const { scale, zeroPoint, qmin, qmax } = parameters;
  const most = qmax > 127 ? 32_767 : 127;
  const least = -most - 1;
  // A symmetric quantizer of all bits leaves the lowest integer to saturation rather than spend a Clip on it.
  const lowest = qmin === -most ? least : qmin;
  const bound = (real: number) => Math.min(Math.max(roundReal(real, scale, zeroPoint), lowest), qmax);
  const [lo, hi] = [bound(clamps.lo), bound(clamps.hi)];
  if (lo === least && hi === most) return undefined;
  if (lo === zeroPoint && hi === most && clamps.lo === 0) return 'positive';
  return { min: Math.fround((lo - zeroPoint) * scale), max: Math.fround((hi - zeroPoint) * scale) };
}

function reportLayers(
  { graph, layers, statistics }: Calibration,
  activations: ReadonlyMap<string, Activation>,
  weights: ReadonlyMap<string, WeightReport>,
): LayerReport[] {
  const reports: LayerReport[] = [];
  const reported = new Set<string>();
  const add = (name: string, op: string, value: string): void => {
    const activation = activations.get(value);
    const weightReport = weights.get(name);
    reports.push({
      name,
      op,
      value,
      ...(weightReport && { weights: weightReport }),
      ...(activation && { activation: reportActivation(statistics.get(value)!, activation) }),
    });
  };
  for (const { name, producer, clamps } of layers.values.values()) {
    if (!producer) {
      add(name, 'Input', name);
      continue;
    }
    add(producer.name, [producer, ...clamps.nodes].map(({ op }) => op).join('+'), name);
    reported.add(producer.name);
  }
  for (const { node } of layers.weighted.values()) {
    if (!reported.has(node.name)) add(node.name, node.op, node.outputs[0]);
  }
  const position = new Map(graph.nodes.map((node, index) => [node.name, index]));
  return reports.sort((a, b) => (position.get(a.name) ?? -1) - (position.get(b.name) ?? -1));
}

function reportActivation(
  statistics: ActivationStatistics,
  { recipe, parameters }: Activation,
): ActivationReport {
  const { scale, zeroPoint } = parameters;
  const histogram = statistics.histogram();
  return {
    bits: recipe.bits,
    scheme: recipe.scheme,
    observed: { min: statistics.min, max: statistics.max },
    range: representedRange(parameters),
    scale,
    zeroPoint,
    clippedShare: clippedShare(histogram, parameters),
    sqnr: decibels(statistics.sumOfSquares, squaredError(histogram, parameters)),
  };
}

function reportWeights(
  { weights }: WeightedLayer,
  quantized: QuantizedLayer,
  { bits, perChannel }: Recipe['weights'],
): WeightReport {
  const data = weights.data as Float32Array;
  const rounded = dequantizeWeights(quantized.weights, quantized.scales);
  const size = data.length / quantized.scales.length;
  const qmax = 2 ** (bits - 1) - 1;
  let signal = 0;
  let noise = 0;
  let largest = 0;
  let clipped = 0;
  for (let i = 0; i < data.length; i++) {
    const w = data[i];
    signal += w * w;
    const error = w - rounded[i];
    noise += error * error;
    const magnitude = Math.abs(w);
    if (magnitude > largest) largest = magnitude;
    if (magnitude > (qmax + 0.5) * quantized.scales[Math.floor(i / size)]) clipped++;
  }
  return {
    bits,
    perChannel,
    largest,
    scale: {
      min: quantized.scales.reduce((a, b) => Math.min(a, b)),
      max: quantized.scales.reduce((a, b) => Math.max(a, b)),
    },
    clippedShare: clipped / data.length,
    sqnr: decibels(signal, noise),
  };
}

/** 10 · log₁₀(signal / noise); Infinity without noise. */
export function decibels(signal: number, noise: number): number {
  return noise === 0 ? Infinity : (10 / Math.LN10) * log(signal / noise);
}

function constantBytes(graph: Graph): number {
  let bytes = 0;
  for (const { dtype, data } of graph.constants.values()) {
    const bits = packedBits[dtype];
    bytes += bits ? Math.ceil((data.length * bits) / 8) : data.byteLength;
  }
  return bytes;
}
