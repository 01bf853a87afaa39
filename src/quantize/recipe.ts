/**
 * Recipes: how a model is to be quantized, as a JSON file. `models/recipe.schema.json` is made from the schema below
 * (`npm run docs`).
 */
import { z } from 'zod';
import { describeValue } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { observers, type ObserverName } from './observers.ts';

const bits = z
  .number({ error: 'expected a whole number from 2 to 8' })
  .int({ error: 'expected a whole number from 2 to 8' })
  .min(2, { error: 'expected a whole number from 2 to 8' })
  .max(8, { error: 'expected a whole number from 2 to 8' });

const flag = z.boolean({ error: 'expected true or false' });

const between = (low: number, high: number) => {
  const error = `expected a number above ${low} and at most ${high}`;
  return z.number({ error }).gt(low, { error }).lte(high, { error });
};

const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `expected ${values.map((value) => `"${value}"`).join(', ')}` });

const weightFields = {
  bits: bits.describe('Bits of a weight, 2 to 8.'),
  perChannel: flag.describe('One scale per output channel (true) or one for the whole tensor (false).'),
};

const activationFields = {
  bits: bits.describe('Bits of an activation, 2 to 8.'),
  scheme: oneOf(['affine', 'symmetric']).describe(
    'Zero point anywhere in the range (affine) or at 0 (symmetric).',
  ),
  observer: oneOf(Object.keys(observers) as [ObserverName, ...ObserverName[]]).describe(
    'How the range of an activation is chosen from the values seen during calibration.',
  ),
  percentile: between(50, 100).describe(
    'For the percentile observer: percent of the values below the upper, and above the lower bound.',
  ),
};

const weights = z.strictObject({
  bits: weightFields.bits.default(8),
  perChannel: weightFields.perChannel.default(true),
});

const activations = z.strictObject({
  bits: activationFields.bits.default(8),
  scheme: activationFields.scheme.default('affine'),
  observer: activationFields.observer.default('mse'),
  percentile: activationFields.percentile.default(99.99),
});

const corrections = z.strictObject({
  bias: flag
    .default(true)
    .describe('Compensate the mean error of rounded weights in the biases (Nagel et al. 2019, section 4.2).'),
  equalize: flag
    .default(false)
    .describe(
      'Equalize the weight ranges of consecutive layers before calibration (Nagel et al. 2019, section 4.1).',
    ),
});

const layer = z.strictObject({
  match: z
    .string({ error: 'expected the name of a node or value, or a pattern with * and ?' })
    .min(1, { error: 'expected a name or a pattern with * and ?' })
    .describe(
      'Name of a node, of its output or of a graph input; * stands for any characters, ? for one. Later entries win.',
    ),
  weights: z.strictObject(weightFields).partial().optional(),
  activations: z.strictObject(activationFields).partial().optional(),
});

const schema = z
  .strictObject({
    $schema: z.string().optional().describe('Where this schema lies, for editors.'),
    weights: weights.prefault({}).describe('Weights of convolutions and dense layers: symmetric integers.'),
    activations: activations.prefault({}).describe('Values between the layers.'),
    inputBits: bits
      .default(8)
      .describe('Bits of the graph inputs: pictures have 8, whatever the layers inside use.'),
    momentum: between(0, 1)
      .default(0.01)
      .describe('For the movingAverage observer: weight of each new image.'),
    corrections: corrections.prefault({}).describe('What is done against the loss that rounding brings.'),
    layers: z
      .array(layer, { error: 'expected a list of overrides' })
      .default([])
      .describe('What single layers do differently, in order.'),
  })
  .describe('How Octet quantizes a model.');

/** A complete recipe: every default filled in. */
export type Recipe = z.output<typeof schema>;
/** A recipe as written: everything may be left out. */
export type RecipeInput = z.input<typeof schema>;
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
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const lines = result.error.issues.map(({ path, message, input }) => {
    const where = path.reduce<string>(
      (text, key) => text + (typeof key === 'number' ? `[${key}]` : `.${String(key)}`),
      'recipe',
    );
    const given = input === undefined || typeof input === 'object' ? '' : `, got ${describeValue(input)}`;
    return `${where}: ${message}${given}`;
  });
  throw new InputError(lines.join('\n'));
}

/** The JSON Schema of recipe files (draft 2020-12). */
export function recipeJsonSchema(): object {
  return z.toJSONSchema(schema, { io: 'input' });
}

/** A layer as overrides see it: every name that a pattern may match. */
export type LayerNames = readonly string[];

/** The recipe of one layer's weights, overrides applied. */
export function weightRecipe(recipe: Recipe, names: LayerNames): WeightRecipe {
  return override(recipe, names, 'weights', recipe.weights);
}

/** The recipe of one layer's output, overrides applied. */
export function activationRecipe(recipe: Recipe, names: LayerNames, isInput: boolean): ActivationRecipe {
  const base = isInput ? { ...recipe.activations, bits: recipe.inputBits } : recipe.activations;
  return override(recipe, names, 'activations', base);
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
