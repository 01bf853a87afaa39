import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { recipeJsonSchema, recipeSchemaPath, recipeSchemaText } from '../../scripts/recipe-schema.ts';
import { InputError } from '../../src/errors.ts';
import {
  activationRecipe,
  checkOverrides,
  parseRecipe,
  weightRecipe,
  type RecipeInput,
} from '../../src/quantize/recipe.ts';

function mistake(source: unknown): string {
  try {
    parseRecipe(source as RecipeInput);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message;
  }
  throw new Error('the recipe was accepted');
}

describe('parseRecipe', () => {
  it('has a default for everything', () => {
    const recipe = parseRecipe(undefined);
    expect(recipe).toEqual(parseRecipe({}));
    expect(recipe.weights).toMatchObject({ bits: 8, perChannel: true, rounding: 'auto' });
    expect(recipe.activations).toMatchObject({ bits: 8, scheme: 'affine', observer: 'mse' });
    expect(recipe.inputBits).toBe(8);
    // What it resolves to is a recipe again: it is what a quantized file's metadata holds.
    expect(parseRecipe(JSON.stringify(recipe))).toEqual(recipe);
  });

  it('takes defaults from a preset, under what the recipe says itself', () => {
    const { weights, activations, corrections, biasBits } = parseRecipe({
      preset: 'symmetricTensor',
      activations: { observer: 'mse' },
      biasBits: 32,
    });
    expect(weights).toMatchObject({ bits: 8, perChannel: false });
    expect(activations).toMatchObject({ bits: 8, scheme: 'symmetric', observer: 'mse' });
    expect(corrections).toMatchObject({ bias: false, equalize: false });
    expect(biasBits).toBe(32);
    const reduced = parseRecipe({ preset: 'reduceRange' });
    expect([reduced.activations.bits, reduced.inputBits, reduced.biasBits]).toEqual([7, 7, 32]);
    expect(parseRecipe(JSON.stringify(reduced))).toEqual(reduced);
    expect(() => parseRecipe({ preset: 'fast' } as never)).toThrow(
      /recipe.preset: expected "symmetricTensor"/,
    );
  });

  it('says for every mistake where it is, what was expected, and what was given', () => {
    const text = mistake({
      weights: { bits: 9, perChannel: 'yes' },
      activations: { observer: 'median', percentile: 12 },
      layers: [{ match: 'conv1' }, { match: 'conv2', activations: { scheme: 3, bits: 2.5 } }],
      momentum: 0,
    });
    expect(text.split('\n').toSorted()).toEqual([
      'recipe.activations.observer: expected "minmax", "movingAverage", "percentile", "mse", "entropy", got "median"',
      'recipe.activations.percentile: expected a number above 50 and at most 100, got 12',
      'recipe.layers[1].activations.bits: expected a whole number from 2 to 8, got 2.5',
      'recipe.layers[1].activations.scheme: expected "affine", "symmetric", got 3',
      'recipe.momentum: expected a number above 0 and at most 1, got 0',
      'recipe.weights.bits: expected a whole number from 2 to 8, got 9',
      'recipe.weights.perChannel: expected true or false, got "yes"',
    ]);
  });

  it('refuses what it does not know, and what is no recipe', () => {
    expect(mistake({ weigths: {} })).toMatch(/^recipe\.weigths: no such member; there are .*weights/);
    expect(mistake({ layers: [{ match: 'x', weights: { scheme: 'affine' } }] })).toBe(
      'recipe.layers[0].weights.scheme: no such member; there are bits, perChannel, rounding',
    );
    expect(mistake({ layers: [{ weights: {} }] })).toBe('recipe.layers[0].match: missing');
    expect(mistake({ layers: {} })).toMatch(/^recipe\.layers: expected a list/);
    expect(mistake('{"weights":')).toMatch(/not JSON/);
    expect(mistake('8')).toMatch(/^recipe: .*object/);
    expect(mistake(null)).toBe('recipe: expected an object, got null');
    expect(mistake([])).toBe('recipe: expected an object, got an array of 0');
  });
});

describe('overrides', () => {
  const recipe = parseRecipe({
    activations: { observer: 'mse', bits: 6 },
    inputBits: 7,
    layers: [
      { match: 'block?_*', weights: { bits: 4 } },
      { match: 'block2_conv', weights: { perChannel: false }, activations: { bits: 5 } },
      { match: 'image', activations: { observer: 'minmax' } },
      { match: 'a.b*', weights: { bits: 3 } },
    ],
  });

  it('match whole names, * and ? standing for characters, and later ones win', () => {
    const bitsOf = (...names: string[]): number => weightRecipe(recipe, names).bits;
    expect(bitsOf('block1_conv')).toBe(4);
    expect(bitsOf('block12_conv')).toBe(8);
    expect(bitsOf('my_block1_conv')).toBe(8);
    expect(bitsOf('node7', 'block1_out')).toBe(4);
    expect(bitsOf('a.bc')).toBe(3);
    expect(bitsOf('aXbc')).toBe(8);
    expect(weightRecipe(recipe, ['block2_conv'])).toMatchObject({ bits: 4, perChannel: false });
  });

  it('leave alone what they do not name', () => {
    expect(activationRecipe(recipe, ['block2_conv'], false)).toMatchObject({ bits: 5, observer: 'mse' });
    expect(activationRecipe(recipe, ['fc'], false)).toMatchObject({ bits: 6, observer: 'mse' });
  });

  it('give graph inputs bits of their own', () => {
    expect(activationRecipe(recipe, ['image'], true)).toMatchObject({ bits: 7, observer: 'minmax' });
  });

  it('must match something', () => {
    const layers = [['block1_conv'], ['block2_conv', 'y'], ['image'], ['a.b']];
    expect(() => checkOverrides(recipe, layers)).not.toThrow();
    expect(() => checkOverrides(recipe, layers.slice(0, 3))).toThrow(
      /^recipe\.layers\[3\]\.match: "a\.b\*" matches no layer.*block1_conv, block2_conv/,
    );
  });
});

describe('recipeJsonSchema', () => {
  it('is what models/recipe.schema.json holds: otherwise run "npm run docs"', async () => {
    expect(await readFile(recipeSchemaPath, 'utf8')).toBe(await recipeSchemaText());
  });

  it('describes every member', () => {
    const schema = recipeJsonSchema() as {
      properties: Record<
        string,
        { description?: string; properties?: Record<string, { description?: string }> }
      >;
    };
    for (const [name, { description, properties }] of Object.entries(schema.properties)) {
      expect(description ?? '', name).not.toBe('');
      for (const [member, { description: text }] of Object.entries(properties ?? {})) {
        expect(text ?? '', `${name}.${member}`).not.toBe('');
      }
    }
  });
});
