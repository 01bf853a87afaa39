/**
 * What each layer's rounding costs the model: of its weights and of its result apart, each alone and together with all before it.
 *
 * The float graph gets a switch at every place that is rounded, and runs in ONNX Runtime: one switch set is a layer alone (Wu et al. 2020,
 * "Integer quantization for deep learning inference", section 6.1, isolates layers so), those of all layers before it set too is what adds up
 * along the network. One session serves all settings, so the unrounded run is the same arithmetic.
 */
import { asyncOptions, check, iterable, options as optionsOf } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { dtypeNumbers, packedBits } from '../graph/dtypes.ts';
import { indexGraph, type GraphIndex } from '../graph/graph-index.ts';
import type { Graph, Node, Tensor } from '../graph/graph.ts';
import { cast } from '../graph/operators/cast.ts';
import { clip } from '../graph/operators/clip.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { where } from '../graph/operators/where.ts';
import { raiseOpset } from '../graph/passes/raise-opset.ts';
import { type Names, valueNames } from '../graph/rewrite.ts';
import { exp } from '../numerics/elementary.ts';
import { imageBatches } from '../model/image-batches.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import { prepareGraph } from '../quantize/calibrate.ts';
import type { QuantizedValue, WeightedLayer } from '../quantize/layers.ts';
import { decibels } from '../quantize/quantize.ts';
import { activationRecipe, parseRecipe, weightRecipe, type Recipe } from '../quantize/recipe.ts';
import {
  type Batch,
  type FloatResults,
  type GraphSession,
  onnxRuntimeOptions,
  openGraphSession,
} from '../quantize/onnx-runtime.ts';
import type { Picture } from '../vision/picture.ts';
import { best, classOutput, EQUAL, type MeasureAccuracyOptions } from './accuracy.ts';

export type AnalyzeSensitivityOptions = Omit<MeasureAccuracyOptions, 'backend' | 'maxActivationBytes'>;

/** What a setting of the switches does to the model's answers, against the float model. */
export interface Effect {
  /** Of the outputs, in decibels; 200 where nothing differs. Of several outputs, the mean ratio of noise to signal counts. */
  readonly sqnr: number;
  /** Pictures that get another class, by position; null where the output is no list of classes. */
  readonly otherAnswers: readonly number[] | null;
}

/** One layer's weights, or its result. */
export interface LayerEffect {
  readonly kind: 'weights' | 'activation';
  /** Name of the node whose weights they are, or of the value: what a recipe's `match` takes. */
  readonly name: string;
  /** Node that has the weights or computes the value; the graph input's name for itself. */
  readonly node: string;
  readonly bits: number;
  /** This alone is rounded. */
  readonly isolated: Effect;
  /** This and all of its kind before it, in the order of execution, are rounded. */
  readonly cumulative: Effect;
  /** Its part, 0 to 1, of the noise that all rows bring alone, summed up. */
  readonly share: number;
}

export interface Sensitivity {
  readonly pictures: number;
  /** All that the quantized model rounds; only its weights; only its activations. */
  readonly all: Effect;
  readonly weights: Effect;
  readonly activations: Effect;
  /** In the order of execution, weights before the result. */
  readonly layers: readonly LayerEffect[];
}

const sensitivityArguments = optionsOf({ ...asyncOptions, ...onnxRuntimeOptions });

/** Pictures that run at once. */
const BATCH = 16;

/**
 * Measures what rounding each layer's weights, and its result, does to the model's answers.
 *
 * @param quantized made from `float`: nodes and values have the same names
 * @param pictures gone through once, all in memory: a few dozen do
 * @throws {InputError} no picture, or nothing that is rounded in `quantized` is found in `float`
 */
export async function analyzeSensitivity(
  float: Graph,
  quantized: Graph,
  pictures: Iterable<Picture> | AsyncIterable<Picture>,
  options: AnalyzeSensitivityOptions = {},
): Promise<Sensitivity> {
  check(
    'analyzeSensitivity',
    { float: graphSchema, quantized: graphSchema, pictures: iterable, options: sensitivityArguments },
    { float, quantized, pictures, options },
  );
  const { signal, onProgress, onnxRuntime, inputShape } = options;
  const { graph, outputs, switches } = switched(float, quantized);
  const [{ shape }] = float.inputs;
  const batch = typeof shape[0] === 'number' ? shape[0] : BATCH;
  const batches: Batch[] = [];
  for await (const each of imageBatches(float, pictures, { batch, ...(inputShape && { inputShape }) })) {
    batches.push(each);
  }
  if (batches.length === 0) throw new InputError('there is no picture to measure on: give at least one');
  const total = 4 + 2 * switches.length;
  let done = 0;
  const session = await openGraphSession(graph, [...outputs.values()], onnxRuntime ? { onnxRuntime } : {});
  const measure = new Measure(session, float, outputs, switches, batches);
  try {
    const effect = async (on: readonly Switch[]) => {
      signal?.throwIfAborted();
      const result = await measure.effect(on);
      onProgress?.({ stage: 'evaluate', done: ++done, total });
      return result;
    };
    await measure.float();
    onProgress?.({ stage: 'evaluate', done: ++done, total });
    const ofKind = (kind: LayerEffect['kind']) => switches.filter((each) => each.kind === kind);
    const all = await effect(switches);
    const weights = await effect(ofKind('weights'));
    const activations = await effect(ofKind('activation'));
    const rows: { readonly own: Switch; readonly isolated: Effect; readonly cumulative: Effect }[] = [];
    for (const own of switches) {
      const isolated = await effect([own]);
      const same = ofKind(own.kind);
      rows.push({ own, isolated, cumulative: await effect(same.slice(0, same.indexOf(own) + 1)) });
    }
    const noise = rows.reduce((sum, { isolated }) => sum + noiseOf(isolated), 0);
    return {
      pictures: batches.reduce((sum, each) => sum + each.shape[0], 0),
      all,
      weights,
      activations,
      layers: rows.map(({ own: { kind, name, node, bits }, isolated, cumulative }) => ({
        ...{ kind, name, node, bits, isolated, cumulative },
        share: noise > 0 ? noiseOf(isolated) / noise : 0,
      })),
    };
  } finally {
    await session.dispose();
  }
}

/** Noise over signal. */
const noiseOf = ({ sqnr }: Effect) => (sqnr >= EQUAL ? 0 : exp((-sqnr * Math.LN10) / 10));

/** A place that is rounded where the input `input` of the graph is 1, and not where it is 0. */
interface Switch extends Pick<LayerEffect, 'kind' | 'name' | 'node' | 'bits'> {
  readonly input: string;
}

interface Switched {
  readonly graph: Graph;
  /** Names to read the outputs of the float graph by. */
  readonly outputs: ReadonlyMap<string, string>;
  readonly switches: readonly Switch[];
}

/** The float graph with a switch at each place that is rounded in the quantized one. */
function switched(float: Graph, quantized: Graph): Switched {
  const written = quantized.metadata.get('octet.recipe');
  const recipe = written === undefined ? undefined : parseRecipe(written);
  const { prepared, layers } = prepareGraph(float, recipe ?? parseRecipe());
  // Where came with opset 9, QuantizeLinear with 10, and that of 16 bits with 21.
  const raised = raiseOpset(prepared, Math.max(prepared.opset, quantized.opset, 13)) ?? prepared;
  const index = indexGraph(quantized);
  const pairs = findPairs(index);
  const builder = new SwitchBuilder(raised, quantized);
  for (const value of layers.values.values()) {
    if (!value.producer) builder.addValue(value, pairs, recipe);
  }
  const byOutput = new Map([...layers.values.values()].map((value) => [value.name, value]));
  for (const node of raised.nodes) {
    const layer = layers.weighted.get(node.name);
    const rounded = layer && findWeights(index, layer);
    builder.addNode(node, layer && rounded && { layer, rounded }, recipe);
    const value = byOutput.get(node.outputs[0]);
    if (value) builder.addValue(value, pairs, recipe);
  }
  const made = builder.finish();
  if (made.switches.length === 0) {
    throw new InputError(
      'nothing that the second model rounds is found in the first by name: is the second made from the first?',
    );
  }
  return made;
}

/** A QuantizeLinear and what stands before it for its sake. */
interface Pair {
  readonly quantize: Node;
  readonly clip: Node | undefined;
}

/** By the names that the float graph may know the value by. */
function findPairs(index: GraphIndex): ReadonlyMap<string, Pair> {
  const pairs = new Map<string, Pair>();
  for (const quantize of index.graph.nodes.filter(quantizeLinear.is)) {
    const dequantize = index.readers(quantize.outputs[0]).find(dequantizeLinear.is);
    if (!dequantize) continue;
    const before = index.producer(quantize.inputs[0]);
    const clips = before && clip.is(before) ? before : undefined;
    for (const name of [clips?.inputs[0], dequantize.outputs[0], quantize.inputs[0]]) {
      if (name !== undefined) pairs.set(name, { quantize, clip: clips });
    }
  }
  return pairs;
}

/** What a layer multiplies by in the quantized graph. */
interface RoundedWeights {
  readonly weights: Tensor;
  readonly bias: Tensor | undefined;
  readonly bits: number;
}

function findWeights(index: GraphIndex, { node, weights, bias }: WeightedLayer): RoundedWeights | undefined {
  const { graph } = index;
  const same =
    graph.nodes.find(({ name, op }) => name === node.name && op === node.op) ??
    graph.nodes.find(({ outputs, op }) => outputs[0] === node.outputs[0] && op === node.op);
  if (!same) return undefined;
  const rounded = dequantized(index, same.inputs[1]);
  if (rounded?.tensor.shape.join() !== weights.shape.join()) return undefined;
  if (cosine(weights.data as Float32Array, rounded.tensor.data as Float32Array) < 0.3) {
    throw new InputError(
      `the weights of "${node.name}" are not those of the float model, rounded: give the model that the quantized one was made from`,
    );
  }
  const given = same.inputs[2];
  const own = given ? (dequantized(index, given)?.tensor ?? graph.constants.get(given)) : undefined;
  return {
    weights: rounded.tensor,
    bias: own?.dtype === 'float32' && own.data.length === bias.length ? own : undefined,
    bits: rounded.bits,
  };
}

/** Constants behind a DequantizeLinear, as it gives them. */
function dequantized(
  index: GraphIndex,
  name: string,
): { readonly tensor: Tensor; readonly bits: number } | undefined {
  const node = index.producer(name);
  if (!node || !dequantizeLinear.is(node)) return undefined;
  const inputs = node.inputs.map((input) => index.graph.constants.get(input));
  const [x] = inputs;
  if (!x || !inputs[1]) return undefined;
  const value = dequantizeLinear.evaluate!({
    ...{ node, inputs, dtype: 'float32', shape: x.shape },
    numbers: () => undefined,
  });
  return value && { tensor: { ...value, name }, bits: packedBits[x.dtype] ?? 8 };
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, one, other] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i] * b[i];
    one += a[i] * a[i];
    other += b[i] * b[i];
  }
  return one === 0 || other === 0 ? 1 : product / Math.sqrt(one * other);
}

class SwitchBuilder {
  readonly #float: Graph;
  readonly #quantized: Graph;
  readonly #names: Names;
  readonly #nodes: Node[] = [];
  readonly #constants: Map<string, Tensor>;
  readonly #switches: Switch[] = [];
  /** Float value → what reads it in its place. */
  readonly #readers = new Map<string, string>();

  constructor(float: Graph, quantized: Graph) {
    this.#float = float;
    this.#quantized = quantized;
    this.#names = valueNames(float);
    this.#constants = new Map(float.constants);
  }

  addNode(
    node: Node,
    found: { readonly layer: WeightedLayer; readonly rounded: RoundedWeights } | undefined,
    recipe: Recipe | undefined,
  ): void {
    const inputs = node.inputs.map((name) => this.#readers.get(name) ?? name);
    if (found) {
      const { layer, rounded } = found;
      const { name } = node;
      const bits = recipe ? weightRecipe(recipe, layer.names).bits : rounded.bits;
      const condition = this.#switch({ kind: 'weights', name, node: name, bits });
      inputs[1] = this.#choose(condition, this.#constant(rounded.weights), inputs[1]);
      if (rounded.bias) {
        const { length } = layer.bias;
        inputs[2] ||= this.#constant({
          ...{ name: `${name}_bias`, dtype: 'float32', shape: [length], data: layer.bias },
        });
        inputs[2] = this.#choose(condition, this.#constant(rounded.bias), inputs[2]);
      }
    }
    this.#nodes.push({ ...node, inputs });
  }

  addValue(value: QuantizedValue, pairs: ReadonlyMap<string, Pair>, recipe: Recipe | undefined): void {
    const { name, producer, sharedWith } = value;
    const pair = pairs.get(name);
    // Integers that are only moved are rounded where they were made.
    if (!pair || sharedWith !== undefined) return;
    const parameters = pair.quantize.inputs.slice(1).map((input) => this.#quantized.constants.get(input));
    if (!parameters.every((each) => each !== undefined)) return;
    const bits = recipe ? activationRecipe(recipe, value.names, !producer).bits : 8;
    const condition = this.#switch({ kind: 'activation', name, node: producer?.name ?? name, bits });
    let rounded = name;
    if (pair.clip) {
      const bounds = pair.clip.inputs.slice(1).map((input) => this.#quantized.constants.get(input));
      rounded = this.#emit(clip.op, [rounded, ...bounds.map((each) => (each ? this.#constant(each) : ''))], {
        ...pair.clip.attributes,
      });
    }
    const scale = parameters.map((each) => this.#constant(each));
    rounded = this.#emit(quantizeLinear.op, [rounded, ...scale], pair.quantize.attributes);
    rounded = this.#emit(dequantizeLinear.op, [rounded, ...scale], pair.quantize.attributes);
    this.#readers.set(name, this.#choose(condition, rounded, name));
  }

  finish(): Switched {
    const { inputs, outputs } = this.#float;
    const readers = new Map(outputs.map(({ name }) => [name, this.#readers.get(name) ?? name]));
    return {
      graph: {
        ...this.#float,
        inputs: [
          ...inputs,
          ...this.#switches.map(({ input }) => ({ name: input, dtype: 'float32' as const, shape: [1] })),
        ],
        outputs: outputs.map((output) => ({ ...output, name: readers.get(output.name)! })),
        nodes: this.#nodes,
        constants: this.#constants,
      },
      outputs: readers,
      switches: this.#switches,
    };
  }

  /** Name of its condition. */
  #switch(own: Omit<Switch, 'input'>): string {
    const input = this.#names.fresh(`switch_${this.#switches.length}`);
    this.#switches.push({ ...own, input });
    return this.#emit(cast.op, [input], { to: dtypeNumbers.bool });
  }

  #choose(condition: string, rounded: string, real: string): string {
    return this.#emit(where.op, [condition, rounded, real]);
  }

  #emit(op: string, inputs: readonly string[], attributes: Node['attributes'] = {}): string {
    const name = this.#names.fresh(`${inputs[0]}_${op}`);
    this.#nodes.push({ name, op, inputs, outputs: [name], attributes });
    return name;
  }

  #constant(tensor: Tensor): string {
    const name = this.#names.fresh(tensor.name);
    this.#constants.set(name, { ...tensor, name });
    return name;
  }
}

/** Runs the switched graph on all pictures. */
class Measure {
  readonly #session: GraphSession;
  readonly #input: string;
  readonly #outputs: readonly string[];
  readonly #switches: readonly Switch[];
  readonly #batches: readonly Batch[];
  /** The one that tells classes apart. */
  readonly #classes: string | undefined;
  #expected: readonly FloatResults[] = [];

  constructor(
    session: GraphSession,
    float: Graph,
    outputs: ReadonlyMap<string, string>,
    switches: readonly Switch[],
    batches: readonly Batch[],
  ) {
    this.#session = session;
    this.#input = float.inputs[0].name;
    this.#outputs = float.outputs
      .filter(({ dtype }) => dtype === 'float32')
      .map(({ name }) => outputs.get(name)!);
    this.#switches = switches;
    this.#batches = batches;
    const classes = classOutput(float.outputs);
    this.#classes = classes === null ? undefined : outputs.get(classes);
  }

  /** Runs without rounding: what `effect` compares with. */
  async float(): Promise<void> {
    this.#expected = await this.#run([]);
  }

  async effect(on: readonly Switch[]): Promise<Effect> {
    const actual = await this.#run(on);
    const otherAnswers: number[] = [];
    const ratios = this.#outputs.map((name) => {
      let [signal, noise, picture] = [0, 0, 0];
      for (const [
        i,
        {
          shape: [images],
        },
      ] of this.#batches.entries()) {
        const [expected, got] = [this.#expected[i].get(name)!.data, actual[i].get(name)!.data];
        for (let k = 0; k < expected.length; k++) {
          signal += expected[k] * expected[k];
          noise += (got[k] - expected[k]) * (got[k] - expected[k]);
        }
        if (name === this.#classes) {
          otherAnswers.push(...differingAnswers(expected, got, images).map((at) => picture + at));
        }
        picture += images;
      }
      return noise === 0 ? 0 : noise / signal;
    });
    const ratio = ratios.reduce((sum, each) => sum + each, 0) / ratios.length;
    return {
      sqnr: Math.min(EQUAL, Math.max(-EQUAL, decibels(1, ratio))),
      otherAnswers: this.#classes === undefined ? null : otherAnswers,
    };
  }

  async #run(on: readonly Switch[]): Promise<FloatResults[]> {
    const set = this.#switches.map((each): [string, Batch] => [
      each.input,
      { data: Float32Array.of(on.includes(each) ? 1 : 0), shape: [1] },
    ]);
    const results: FloatResults[] = [];
    for (const batch of this.#batches)
      results.push(await this.#session.run(new Map([[this.#input, batch], ...set])));
    return results;
  }
}

/** Rows whose highest scores lie in different places. */
function differingAnswers(expected: Float32Array, actual: Float32Array, images: number): number[] {
  const classes = expected.length / images;
  return Array.from({ length: images }, (_, row) => row).filter((row) => {
    const of = (scores: Float32Array) => best(scores.subarray(row * classes, (row + 1) * classes));
    return of(expected) !== of(actual);
  });
}
