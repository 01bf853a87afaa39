/** The search for bits on losses that are known: what it measures, the order in which layers get fewer bits, and where it stops. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { calibrate } from '../../src/quantize/calibrate.ts';
import type { Recipe } from '../../src/quantize/recipe.ts';
import { searchBits, type SearchOptions } from '../../src/quantize/search.ts';
import { convNet, randomInputs } from '../support/onnx-models.ts';

const float = convNet(7);
const images = [{ data: randomInputs(float, 4, 8).get('input')!, shape: [4, 3, 12, 12] }];
const calibration = await calibrate(float, images);
const names = [...calibration.layers.weighted.keys()];
const sizes = new Map(
  [...calibration.layers.weighted].map(([name, { weights }]) => [name, weights.data.length]),
);
const recipe = { weights: { rounding: 'nearest' } } as const;

const recipeOf = (graph: Graph) => JSON.parse(graph.metadata.get('octet.recipe')!) as Recipe;
const bitsOf = (graph: Graph) =>
  new Map(
    names.map((name) => [
      name,
      recipeOf(graph).layers.findLast(({ match }) => match === name)?.weights?.bits ?? 8,
    ]),
  );

/** What a bit less costs a weight of each layer, in order: the third layer gains most, then the first. */
const SENSITIVITY = [2, 5, 1, 3];
const lossOf = (bits: ReadonlyMap<string, number>) =>
  names.reduce((sum, name, i) => sum + SENSITIVITY[i] * sizes.get(name)! * (8 - bits.get(name)!), 0);
/** Layers with fewer bits. */
const dropOf = (bits: ReadonlyMap<string, number>) => [...bits.values()].filter((value) => value < 8).length;

const search = (options: Partial<SearchOptions>) => {
  const measured: ReadonlyMap<string, number>[] = [];
  const result = searchBits(float, images, {
    calibration,
    recipe,
    weightBits: [4],
    evaluate: (graph) => {
      const bits = bitsOf(graph);
      measured.push(bits);
      return Promise.resolve({ loss: lossOf(bits), drop: dropOf(bits) });
    },
    ...options,
  });
  return result.then((found) => ({ ...found, measured }));
};

const fewer = (bits: Readonly<Record<string, number>>) => names.filter((name) => bits[name] < 8);

describe('searchBits', () => {
  test('there are four layers', () => expect(names).toHaveLength(4));

  test.each([
    [0, []],
    [1, [2]],
    [2, [0, 2]],
    [3, [0, 2, 3]],
    [9, [0, 1, 2, 3]],
  ])('a drop of %i: the layers that lose least for a byte', async (maxDrop, layers) => {
    const { best, sensitivities, points } = await search({ maxDrop });
    expect(fewer(best!.bits)).toEqual(layers.map((i) => names[i]));
    expect(best!.drop).toBe(layers.length);
    expect(best!.recipe.layers.map(({ match }) => match)).toEqual(fewer(best!.bits));
    expect(sensitivities).toHaveLength(4);
    expect(sensitivities.map(({ loss }) => loss)).toEqual(
      sensitivities.map(({ loss }) => loss).sort((a, b) => a - b),
    );
    for (const { name, savedBytes } of sensitivities) expect(savedBytes).toBe(sizes.get(name)! / 2);
    expect(points.every(({ pareto }) => pareto)).toBe(true);
    expect(points.map(({ bytes }) => bytes)).toEqual(points.map(({ bytes }) => bytes).sort((a, b) => b - a));
  });

  test('each layer is measured alone, weights and activations apart', async () => {
    const { measured, sensitivities } = await search({ maxDrop: 0, activationBits: [5] });
    const alone = measured.slice(1, 5).map((bits) => fewer(Object.fromEntries(bits)));
    expect(alone).toEqual(names.map((name) => [name]));
    const activations = sensitivities.filter(({ kind }) => kind === 'activation');
    expect(activations.length).toBeGreaterThan(3);
    expect(activations.every(({ bits, savedBytes }) => bits === 5 && savedBytes === 0)).toBe(true);
  });

  test('bytes: the first choice that fits, by its real size', async () => {
    const { points } = await search({ maxDrop: 9 });
    const whole = points[0].bytes;
    const limit = whole - sizes.get(names[2])! / 2 - 1;
    const { best } = await search({ maxBytes: limit });
    expect(fewer(best!.bits)).toEqual([names[0], names[2]]);
    // The zero points of 16 and 8 channels are of the weights' type.
    expect(best!.bytes).toBe(whole - (sizes.get(names[2])! + 16) / 2 - (sizes.get(names[0])! + 8) / 2);
    expect((await search({ maxBytes: 10 })).best).toBeUndefined();
  });

  test('two steps at once where the first alone is worse', async () => {
    const evaluate: SearchOptions['evaluate'] = (graph) => {
      const bits = bitsOf(graph).get(names[1])!;
      return Promise.resolve({ loss: { 8: 0, 4: 10, 2: 11 }[bits] ?? 99, drop: dropOf(bitsOf(graph)) });
    };
    const { best } = await search({ maxDrop: 9, weightBits: [4, 2], evaluate });
    expect(best!.bits[names[1]]).toBe(2);
  });

  test('none is found where already the recipe loses more', async () => {
    const { best, points } = await search({
      maxDrop: 1,
      evaluate: () => Promise.resolve({ loss: 1, drop: 2 }),
    });
    expect(best).toBeUndefined();
    expect(points[0].drop).toBe(2);
  });

  test('wrong limits and an opset without few bits are refused', async () => {
    await expect(search({})).rejects.toThrow(InputError);
    await expect(search({ maxDrop: 1, maxBytes: 1 })).rejects.toThrow('either maxDrop or maxBytes');
    await expect(search({ maxDrop: 1, recipe: { ...recipe, opset: 20 } })).rejects.toThrow(
      'int4 comes with 21',
    );
  });

  test('an abort ends it', async () => {
    const controller = new AbortController();
    const evaluate = () => {
      controller.abort(new Error('enough'));
      return Promise.resolve({ loss: 0, drop: 0 });
    };
    await expect(search({ maxDrop: 1, evaluate, signal: controller.signal })).rejects.toThrow('enough');
  });
});
