/**
 * Bits layer by layer: what each layer loses by fewer, and the smallest model that loses no more than it may.
 *
 * The losses of single layers are taken to add up, which is what mixed-precision searches assume (Dong et al. 2019, HAWQ-V2: the sum of each layer's
 * own perturbation). The order in which layers get fewer bits follows from it: least loss for a byte first, along the lower convex hull. How far to go is
 * measured on whole models, not added up.
 */
import * as v from 'valibot';
import { asyncOptions, check, count, finite, fn, integer, iterable, text } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import type { AsyncOptions } from '../progress.ts';
import { calibrate, calibrationSchema, type Calibration } from './calibrate.ts';
import type { WeightedLayer } from './layers.ts';
import { type Batch, onnxRuntimeOptions, type OnnxRuntimeOptions } from './onnx-runtime.ts';
import { quantize } from './quantize.ts';
import { parseRecipe, staysFloat, weightRecipe, type Recipe, type RecipeInput } from './recipe.ts';

/** What a quantized model is worth beside the float one. */
export interface ModelQuality {
  /** How far its outputs are off, in a measure that adds up over layers: the squared error of the outputs, say. */
  readonly loss: number;
  /** What `maxDrop` limits: points of accuracy lost, or percent of pictures that are answered otherwise. */
  readonly drop: number;
}

export interface SensitivityOptions extends AsyncOptions, OnnxRuntimeOptions {
  /** What an earlier calibration of the same graph and images gave. */
  readonly calibration?: Calibration;
  /** All but the bits of the weights; those it has are what the search starts from. */
  readonly recipe?: RecipeInput;
  /** Bits of weights to try below the recipe's, 2 to 7. Default: 4 and 2, which files store in half and a quarter of the bytes. */
  readonly weightBits?: readonly number[];
  /** Bits at which the sensitivity to each activation is measured. Default: none. Activations take no bytes in the file: their bits stay the recipe's. */
  readonly activationBits?: readonly number[];
  /** Measures a quantized graph against the float one. */
  readonly evaluate: (graph: Graph) => Promise<ModelQuality>;
}

/** A share of the models that differ from the recipe in one layer: the `index`-th of `count`, from 1. */
export interface SensitivityPart {
  readonly index: number;
  readonly count: number;
}

export interface SearchOptions extends SensitivityOptions {
  /** What `measureSensitivities` gave, of all parts together: layers alone are not measured again. */
  readonly sensitivities?: readonly LayerSensitivity[];
  /** The smallest model whose drop is at most this. Either this or `maxBytes`. */
  readonly maxDrop?: number;
  /** The model that loses least of those whose constants take at most so many bytes. */
  readonly maxBytes?: number;
}

/** One layer alone with fewer bits, all else as the recipe says. */
export interface LayerSensitivity extends ModelQuality {
  /** Name of the node whose weights, or of the value whose integers, have fewer bits. */
  readonly name: string;
  readonly kind: 'weights' | 'activation';
  readonly bits: number;
  /** Bytes that it saves in the file. */
  readonly savedBytes: number;
}

/** A whole model that was measured. */
export interface SearchPoint extends ModelQuality {
  /** Bits of each layer's weights, by the name of its node. */
  readonly bits: Readonly<Record<string, number>>;
  /** Bytes of its constants. */
  readonly bytes: number;
  /** The recipe that makes it. */
  readonly recipe: Recipe;
  /** Whether no other measured model is smaller and loses no more, or as small and loses less. */
  readonly pareto: boolean;
}

export interface SearchResult {
  /** Least loss first. */
  readonly sensitivities: readonly LayerSensitivity[];
  /** Measured models, largest first. */
  readonly points: readonly SearchPoint[];
  /** The one that the limit asks for; missing where none meets it. */
  readonly best?: SearchPoint;
}

const sensitivityEntries = {
  evaluate: fn,
  signal: v.optional(asyncOptions.signal),
  onProgress: v.optional(asyncOptions.onProgress),
  onnxRuntime: v.optional(onnxRuntimeOptions.onnxRuntime),
  calibration: v.optional(calibrationSchema),
  weightBits: v.optional(v.array(integer(2, 7), 'an array of whole numbers from 2 to 7')),
  activationBits: v.optional(v.array(integer(2, 8), 'an array of whole numbers from 2 to 8')),
};
const sensitivity = v.object(
  {
    name: text,
    kind: v.picklist(['weights', 'activation']),
    bits: integer(2, 8),
    savedBytes: finite,
    loss: finite,
    drop: finite,
  },
  'what measureSensitivities gave',
);
const searchOptions = v.object(
  {
    ...sensitivityEntries,
    sensitivities: v.optional(v.array(sensitivity, 'an array of what measureSensitivities gave')),
    maxDrop: v.optional(finite),
    maxBytes: v.optional(finite),
  },
  'an object with evaluate',
);
const sensitivityOptions = v.object(
  {
    ...sensitivityEntries,
    part: v.optional(v.object({ index: count, count }, 'a part { index, count }')),
  },
  'an object with evaluate',
);

/** Checks a `ModelQuality`. */
export const qualitySchema = v.object({ loss: finite, drop: finite }, 'an object with loss and drop');

/** A layer's bits, and what it then costs. */
interface Choice {
  readonly bits: number;
  readonly bytes: number;
  readonly loss: number;
}

/**
 * Measures each layer alone with fewer bits: what `searchBits` does first, and what takes it longest. Parts may be measured on several
 * machines; together they are the `sensitivities` of `searchBits`.
 *
 * @param images what the model is calibrated on, gone through many times
 * @throws {InputError} where an option is wrong, or the recipe stores few bits as int8
 * @throws {ModelError} where weights or activations are NaN or infinite
 */
export async function measureSensitivities(
  graph: Graph,
  images: AsyncIterable<Batch> | Iterable<Batch>,
  options: SensitivityOptions & { readonly part?: SensitivityPart },
): Promise<LayerSensitivity[]> {
  check(
    'measureSensitivities',
    { graph: graphSchema, images: iterable, options: sensitivityOptions },
    { graph, images, options },
  );
  const { part = { index: 1, count: 1 } } = options;
  if (part.index > part.count) {
    throw new InputError(`measureSensitivities: there is no part ${part.index} of ${part.count}`);
  }
  const { changes, measure } = await prepare(graph, images, options);
  const edge = (position: number) => Math.floor((changes.length * position) / part.count);
  const own = changes.slice(edge(part.index - 1), edge(part.index));
  const sensitivities: LayerSensitivity[] = [];
  for (const [done, change] of own.entries()) {
    options.onProgress?.({ stage: 'quantize', done, total: own.length, item: change.title });
    sensitivities.push(await measureAlone(change, measure));
  }
  options.onProgress?.({ stage: 'quantize', done: own.length, total: own.length });
  return sensitivities;
}

/** A layer's weights or values with fewer bits. */
interface Change extends Pick<LayerSensitivity, 'name' | 'kind' | 'bits' | 'savedBytes'> {
  readonly title: string;
  readonly override: Recipe['layers'][number];
}

type Measure = (
  overrides: Recipe['layers'],
) => Promise<ModelQuality & { readonly bytes: number; readonly recipe: Recipe }>;

async function measureAlone(
  { name, kind, bits, savedBytes, override }: Change,
  measure: Measure,
): Promise<LayerSensitivity> {
  const { loss, drop } = await measure([override]);
  return { name, kind, bits, savedBytes, loss, drop };
}

/** What both calls share: the calibrated model, what can be changed in it, and how a model is measured. */
async function prepare(
  graph: Graph,
  images: AsyncIterable<Batch> | Iterable<Batch>,
  options: SensitivityOptions,
) {
  const { evaluate, signal, onnxRuntime, weightBits = [4, 2], activationBits = [] } = options;
  const recipe = parseRecipe(options.recipe);
  const batches: Batch[] = [];
  for await (const batch of images) batches.push(batch);
  const calibration = options.calibration ?? (await calibrate(graph, batches, { ...options, recipe }));
  const { layers } = calibration;
  const weighted = [...layers.weighted.values()].filter(({ names }) => !staysFloat(recipe, names));
  const startOf = ({ names }: WeightedLayer) => weightRecipe(recipe, names).bits;
  const saved = (layer: WeightedLayer, bits: number) =>
    storedBytes(layer, startOf(layer), recipe) - storedBytes(layer, bits, recipe);
  const ofWeights = weighted.flatMap((layer) =>
    weightBits
      .filter((bits) => bits < startOf(layer))
      .map((bits): Change => {
        const { name } = layer.node;
        return {
          ...{ name, kind: 'weights', bits, savedBytes: saved(layer, bits) },
          title: `${name}, weights of ${bits} bits`,
          override: { match: name, weights: { bits } },
        };
      }),
  );
  if (!ofWeights.some(({ savedBytes }) => savedBytes > 0)) {
    throw new InputError(
      `no layer takes fewer bytes with ${weightBits.join(' or ')} bits: the recipe's opset is ${recipe.opset}, and int4 comes with 21, int2 with 25`,
    );
  }
  const ofActivations = [...layers.values.values()]
    .filter(({ producer }) => producer)
    .flatMap(({ name }) =>
      activationBits.map((bits): Change => ({
        ...{ name, kind: 'activation', bits, savedBytes: 0 },
        title: `${name}, ${bits} bits`,
        override: { match: name, activations: { bits } },
      })),
    );
  const measure: Measure = async (overrides) => {
    signal?.throwIfAborted();
    const changed: Recipe = { ...recipe, layers: [...recipe.layers, ...overrides] };
    const { graph: quantized, report } = await quantize(graph, batches, {
      recipe: changed,
      calibration,
      ...(onnxRuntime && { onnxRuntime }),
      ...(signal && { signal }),
    });
    const quality = await evaluate(quantized);
    check('evaluate', { result: qualitySchema }, { result: quality });
    const { loss, drop } = quality;
    return { loss, drop, bytes: report.quantizedBytes, recipe: changed };
  };
  return { weighted, startOf, saved, changes: [...ofWeights, ...ofActivations], measure };
}

/**
 * Searches bits for the weights of every layer, first and last included. Weights of few bits are rounded as the recipe says, by default by what their
 * layers compute; every quantization starts from one calibration.
 *
 * @param images what the model is calibrated on, gone through many times
 * @throws {InputError} where an option is wrong, or the recipe stores few bits as int8
 * @throws {ModelError} where weights or activations are NaN or infinite
 */
export async function searchBits(
  graph: Graph,
  images: AsyncIterable<Batch> | Iterable<Batch>,
  options: SearchOptions,
): Promise<SearchResult> {
  check(
    'searchBits',
    { graph: graphSchema, images: iterable, options: searchOptions },
    { graph, images, options },
  );
  const { maxDrop, maxBytes, onProgress } = options;
  if ((maxDrop === undefined) === (maxBytes === undefined)) {
    throw new InputError('searchBits: pass either maxDrop or maxBytes');
  }
  const { weighted, startOf, saved, changes, measure: run } = await prepare(graph, images, options);
  const known = (change: Change) =>
    options.sensitivities?.find(
      ({ name, kind, bits }) => name === change.name && kind === change.kind && bits === change.bits,
    );
  const missing = options.sensitivities && changes.find((change) => !known(change));
  if (missing) {
    throw new InputError(
      `the sensitivities are not those of this model and these bits, or a part is missing: there is none of ${missing.title}`,
    );
  }
  let done = 0;
  let total = 1 + (options.sensitivities ? 0 : changes.length);
  const measure = async (item: string, overrides: Recipe['layers']) => {
    onProgress?.({ stage: 'quantize', done, total, item });
    const result = await run(overrides);
    done++;
    return result;
  };

  const base = await measure('as the recipe says', []);
  const sensitivities: LayerSensitivity[] = [];
  for (const change of changes) {
    sensitivities.push(
      known(change) ?? (await measureAlone(change, (overrides) => measure(change.title, overrides))),
    );
  }
  const choices = new Map(
    weighted.map((layer): [WeightedLayer, Choice[]] => [
      layer,
      [
        { bits: startOf(layer), bytes: 0, loss: 0 },
        ...sensitivities
          .filter(({ name, kind }) => kind === 'weights' && name === layer.node.name)
          .map(({ bits, savedBytes, loss }) => ({
            bits,
            bytes: -savedBytes,
            loss: Math.max(0, loss - base.loss),
          })),
      ],
    ]),
  );
  sensitivities.sort((one, other) => one.loss - other.loss);

  const path = descend(choices);
  const measured = new Map<number, Omit<SearchPoint, 'pareto'>>();
  const at = async (step: number) => {
    let point = measured.get(step);
    if (!point) {
      total = Math.max(total, done + 1);
      const bits = path[step];
      const overrides = weighted.flatMap((layer) => {
        const chosen = bits.get(layer)!;
        return chosen === startOf(layer) ? [] : [{ match: layer.node.name, weights: { bits: chosen } }];
      });
      const result =
        step === 0 ? base : await measure(`${overrides.length} layers with fewer bits`, overrides);
      point = {
        ...result,
        bits: Object.fromEntries(weighted.map((layer) => [layer.node.name, bits.get(layer)!])),
      };
      measured.set(step, point);
    }
    return point;
  };
  await at(0);
  const last = path.length - 1;
  let best: number | undefined;
  if (maxDrop !== undefined) {
    // The furthest step that holds, by bisection: drops grow along the path but for noise.
    let [low, high] = [0, last];
    total = done + 32 - Math.clz32(last);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((await at(middle)).drop <= maxDrop) low = middle;
      else high = middle - 1;
    }
    if ((await at(low)).drop <= maxDrop) best = low;
  } else {
    const estimate = (step: number) =>
      [...path[step]].reduce((bytes, [layer, bits]) => bytes - saved(layer, bits), base.bytes);
    let step = path.findIndex((_, i) => estimate(i) <= maxBytes!);
    if (step < 0) step = last;
    while (step < last && (await at(step)).bytes > maxBytes!) step++;
    if ((await at(step)).bytes <= maxBytes!) best = step;
  }
  onProgress?.({ stage: 'quantize', done, total: done });
  const all = [...measured].sort(([a], [b]) => a - b);
  const points = all.map(([, point]) => ({
    ...point,
    pareto: !all.some(
      ([, other]) =>
        other.bytes <= point.bytes &&
        other.drop <= point.drop &&
        (other.bytes < point.bytes || other.drop < point.drop),
    ),
  }));
  const found = best === undefined ? -1 : all.findIndex(([step]) => step === best);
  return { sensitivities, points, ...(found >= 0 && { best: points[found] }) };
}

/** Bytes of a layer's weights in a file. */
function storedBytes({ weights }: WeightedLayer, bits: number, { opset }: Recipe): number {
  const stored = bits <= 2 && opset >= 25 ? 2 : bits <= 4 && opset >= 21 ? 4 : 8;
  return Math.ceil((weights.data.length * stored) / 8);
}

/** The bits of all layers after each step: the next is the one that adds least loss for a byte. The first entry is the start. */
function descend(
  choices: ReadonlyMap<WeightedLayer, readonly Choice[]>,
): readonly ReadonlyMap<WeightedLayer, number>[] {
  const now = new Map([...choices].map(([layer, [start]]) => [layer, start]));
  const bits = () => new Map([...now].map(([layer, choice]) => [layer, choice.bits]));
  const path = [bits()];
  for (;;) {
    let next: { readonly layer: WeightedLayer; readonly choice: Choice; readonly slope: number } | undefined;
    for (const [layer, options] of choices) {
      const current = now.get(layer)!;
      for (const choice of options) {
        if (choice.bytes >= current.bytes) continue;
        const slope = (choice.loss - current.loss) / (current.bytes - choice.bytes);
        if (!next || slope < next.slope) next = { layer, choice, slope };
      }
    }
    if (!next) return path;
    now.set(next.layer, next.choice);
    path.push(bits());
  }
}
