/**
 * Recipes: how a model is to be quantized, as a JSON file. `models/recipe.schema.json` is made from the schema below
 * (`npm run docs`).
 */
import * as v from 'valibot';
import { describeValue } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { observers, type ObserverName } from './observers.ts';

const wholeNumber = 'expected a whole number from 2 to 8';
const bits = v.pipe(
  v.number(wholeNumber),
  v.integer(wholeNumber),
  v.minValue(2, wholeNumber),
  v.maxValue(8, wholeNumber),
);

const activationBits = 'expected a whole number from 2 to 8, or 16';

const opsets = 'expected an opset from 13 to 25';

const flag = v.boolean('expected true or false');

const between = (low: number, high: number) => {
  const message = `expected a number above ${low} and at most ${high}`;
  return v.pipe(v.number(message), v.gtValue(low, message), v.maxValue(high, message));
};

const oneOf = <const T extends readonly string[]>(values: T) =>
  v.picklist(values, `expected ${values.map((value) => `"${value}"`).join(', ')}`);

/** An object with no other members than these. */
const members = <T extends v.ObjectEntries>(entries: T) =>
  v.strictObject(entries, ({ expected, received }) => {
    if (expected === 'never') return `no such member; there are ${Object.keys(entries).join(', ')}`;
    return expected?.startsWith('"') && received === 'undefined' ? 'missing' : 'expected an object';
  });

const weightFields = {
  bits: v.pipe(bits, v.description('Bits of a weight, 2 to 8.')),
  perChannel: v.pipe(
    flag,
    v.description('One scale per output channel (true) or one for the whole tensor (false).'),
  ),
  rounding: v.pipe(
    oneOf(['auto', 'nearest', 'gptq', 'descent']),
    v.description(
      'How weights are rounded: each to the nearest integer (nearest); one after the other, such that the output of the layer changes least (gptq); the same, then improved until no single weight can be (descent). auto is descent at 4 bits and fewer, else nearest.',
    ),
  ),
};

const activationFields = {
  bits: v.pipe(
    v.union([bits, v.literal(16)], activationBits),
    v.description(
      'Bits of an activation, 2 to 8, or 16: those take opset 21, are rounded on the CPU, and a layer that reads them runs twice on the device.',
    ),
  ),
  scheme: v.pipe(
    oneOf(['affine', 'symmetric']),
    v.description('Zero point anywhere in the range (affine) or at 0 (symmetric).'),
  ),
  observer: v.pipe(
    oneOf(Object.keys(observers) as ObserverName[]),
    v.description('How the range of an activation is chosen from the values seen during calibration.'),
  ),
  percentile: v.pipe(
    between(50, 100),
    v.description(
      'For the percentile observer: percent of the values below the upper, and above the lower bound.',
    ),
  ),
};

const weights = members({
  bits: v.optional(weightFields.bits, 8),
  perChannel: v.optional(weightFields.perChannel, true),
  rounding: v.optional(weightFields.rounding, 'auto'),
});

const activations = members({
  bits: v.optional(activationFields.bits, 8),
  scheme: v.optional(activationFields.scheme, 'affine'),
  observer: v.optional(activationFields.observer, 'mse'),
  percentile: v.optional(activationFields.percentile, 99.99),
});

const corrections = members({
  bias: v.pipe(
    v.optional(flag, true),
    v.description(
      'Compensate the mean error of rounded weights in the biases (Nagel et al. 2019, section 4.2).',
    ),
  ),
  equalize: v.pipe(
    v.optional(flag, false),
    v.description(
      'Equalize the weight ranges of consecutive layers before calibration (Nagel et al. 2019, section 4.1).',
    ),
  ),
});

const layer = members({
  match: v.pipe(
    v.string('expected the name of a node or value, or a pattern with * and ?'),
    v.minLength(1, 'expected a name or a pattern with * and ?'),
    v.description(
      'Name of a node, of its output or of a graph input; * stands for any characters, ? for one. Later entries win.',
    ),
  ),
  float: v.pipe(
    v.optional(flag),
    v.description(
      'Leave the weights of matching layers in float: such a layer reads quantized values, is computed on the CPU, and its result is quantized again.',
    ),
  ),
  weights: v.optional(v.partial(members(weightFields))),
  activations: v.optional(v.partial(members(activationFields))),
});

/** Published setups: defaults that a recipe may name, and change. */
const presets = {
  /** One symmetric scale a tensor, integers of ±127, biases of 16 bits: what small accelerators and many papers compute with. */
  symmetricTensor: {
    weights: { perChannel: false },
    activations: { scheme: 'symmetric', observer: 'minmax' },
    corrections: { bias: false },
    biasBits: 16,
  },
  /** PyTorch's `reduce_range`: activations of 7 bits, whose products with 8-bit weights two at a time fit in 16 bits. */
  reduceRange: { activations: { bits: 7 }, inputBits: 7 },
} as const;

const biasBits = 'expected 16 or 32';

/** What a recipe may hold. The JSON Schema of recipe files is made from it. */
export const recipeSchema = v.pipe(
  members({
    $schema: v.pipe(v.optional(v.string()), v.description('Where this schema lies, for editors.')),
    preset: v.pipe(
      v.optional(oneOf(Object.keys(presets) as (keyof typeof presets)[])),
      v.description(
        'Defaults of a published setup. symmetricTensor: one symmetric scale a tensor, integers of ±127, no bias correction, biases clipped to 16 bits. reduceRange: activations of 7 bits.',
      ),
    ),
    weights: v.pipe(
      v.optional(weights, {}),
      v.description('Weights of convolutions and dense layers: symmetric integers.'),
    ),
    activations: v.pipe(v.optional(activations, {}), v.description('Values between the layers.')),
    inputBits: v.pipe(
      v.optional(bits, 8),
      v.description('Bits of the graph inputs: pictures have 8, whatever the layers inside use.'),
    ),
    biasBits: v.pipe(
      v.optional(v.picklist([16, 32], biasBits), 32),
      v.description('Bits of a bias, 16 or 32: larger ones are clipped.'),
    ),
    opset: v.pipe(
      v.optional(
        v.pipe(v.number(opsets), v.integer(opsets), v.minValue(13, opsets), v.maxValue(25, opsets)),
        25,
      ),
      v.description(
        'Latest opset that the file may need. Weights of 3 and 4 bits are stored as int4 from 21 on, those of 2 bits as int2 from 25 on; before, as int8.',
      ),
    ),
    momentum: v.pipe(
      v.optional(between(0, 1), 0.01),
      v.description('For the movingAverage observer: weight of each new image.'),
    ),
    corrections: v.pipe(
      v.optional(corrections, {}),
      v.description('What is done against the loss that rounding brings.'),
    ),
    layers: v.pipe(
      v.optional(v.array(layer, 'expected a list of overrides'), []),
      v.description('What single layers do differently, in order.'),
    ),
  }),
  v.description('How Octet quantizes a model.'),
);

/** A complete recipe: every default filled in. */
export type Recipe = v.InferOutput<typeof recipeSchema>;
/** A recipe as written: everything may be left out. */
export type RecipeInput = v.InferInput<typeof recipeSchema>;
export type WeightRecipe = Recipe['weights'];
export type ActivationRecipe = Recipe['activations'];

/**
 * Checks a recipe and fills in the defaults.
 *
 * @param source parsed JSON, or its text
 * @throws {InputError} with the path of every mistake, what was expected there and what was given
 */
export function parseRecipe(source: RecipeInput | string = {}): Recipe {
  let value: unknown = source;
  if (typeof source === 'string') {
    try {
      value = JSON.parse(source);
    } catch (cause) {
      throw new InputError(`the recipe is not JSON: ${(cause as Error).message}`, { cause });
    }
  }
  // To valibot an empty array is an object without members.
  if (Array.isArray(value)) throw new InputError(`recipe: expected an object, got ${describeValue(value)}`);
  const result = v.safeParse(recipeSchema, withPreset(value));
  if (result.success) return result.output;
  const lines = result.issues.map(({ path, message, expected, input }) => {
    const keys: readonly { readonly key: unknown }[] = path ?? [];
    const where = keys.reduce<string>(
      (text, { key }) => text + (typeof key === 'number' ? `[${key}]` : `.${String(key)}`),
      'recipe',
    );
    const given =
      expected === 'never' || input === undefined || (typeof input === 'object' && input !== null)
        ? ''
        : `, got ${describeValue(input)}`;
    return `${where}: ${message}${given}`;
  });
  throw new InputError(lines.join('\n'));
}

/** What the recipe names as its preset, under what it says itself. */
function withPreset(value: unknown): unknown {
  const given = value as RecipeInput | null | undefined;
  const name = given?.preset;
  if (typeof name !== 'string' || !Object.hasOwn(presets, name)) return value;
  const preset: RecipeInput = presets[name];
  const parts = (['weights', 'activations', 'corrections'] as const).flatMap((part) => {
    const own = given?.[part];
    const isObject = own === undefined || (typeof own === 'object' && own !== null);
    return isObject && preset[part] ? [[part, { ...preset[part], ...own }] as const] : [];
  });
  return { ...preset, ...given, ...Object.fromEntries(parts) };
}

/** A layer as overrides see it: every name that a pattern may match. */
export type LayerNames = readonly string[];

/** The recipe of one layer's weights, overrides applied. */
export function weightRecipe(recipe: Recipe, names: LayerNames): WeightRecipe {
  return override(recipe, names, 'weights', recipe.weights);
}

/** Whether a layer's weights stay in float. */
export function staysFloat({ layers }: Recipe, names: LayerNames): boolean {
  const own = layers.filter(
    ({ match, float }) => float !== undefined && names.some((name) => matches(match, name)),
  );
  return own.at(-1)?.float ?? false;
}

/** The recipe of one layer's output, overrides applied. */
export function activationRecipe(recipe: Recipe, names: LayerNames, isInput: boolean): ActivationRecipe {
  const base = isInput ? { ...recipe.activations, bits: recipe.inputBits } : recipe.activations;
  return override(recipe, names, 'activations', base);
}

/** Most bits at which weights are rounded by their layer's output unless the recipe says otherwise. */
const RECONSTRUCTED_BITS = 4;

/** How the weights of a layer are rounded. */
export function roundingOf({ bits, rounding }: WeightRecipe): 'nearest' | 'gptq' | 'descent' {
  if (rounding !== 'auto') return rounding;
  return bits <= RECONSTRUCTED_BITS ? 'descent' : 'nearest';
}

/** Whether any layer might be rounded by its output, whatever the layers are called. */
export function mayReconstruct({ weights, layers }: Recipe): boolean {
  return [weights, ...layers.map((layer) => layer.weights ?? {})].some(
    ({ bits, rounding }) =>
      (bits !== undefined && bits <= RECONSTRUCTED_BITS) || rounding === 'gptq' || rounding === 'descent',
  );
}

function override<K extends 'weights' | 'activations'>(
  recipe: Recipe,
  names: LayerNames,
  part: K,
  base: Recipe[K],
): Recipe[K] {
  return recipe.layers.reduce(
    (result, entry) =>
      names.some((name) => matches(entry.match, name)) ? { ...result, ...entry[part] } : result,
    base,
  );
}

/** @throws {InputError} where an override matches no layer: a misspelt name must not pass unnoticed. */
export function checkOverrides(recipe: Recipe, layers: readonly LayerNames[]): void {
  recipe.layers.forEach(({ match }, index) => {
    if (layers.some((names) => names.some((name) => matches(match, name)))) return;
    const known = [...new Set(layers.flat())].slice(0, 12).join(', ');
    throw new InputError(
      `recipe.layers[${index}].match: "${match}" matches no layer of the model; its names begin with: ${known}`,
    );
  });
}

function matches(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(name);
}
