/** Calibration kept as a file: what the statistics were, and what they were gathered from. */
import * as v from 'valibot';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { checkFloat, prepareGraph, type Calibration } from './calibrate.ts';
import type { Recipe } from './recipe.ts';
import { ActivationStatistics } from './statistics.ts';

/** What statistics were gathered from. */
export interface StatisticsSource {
  /** SHA-256 of the model file, in hexadecimal. */
  readonly model: string;
  /** SHA-256 of the pixels of all pictures, in order. */
  readonly pictures: string;
}

const FORMAT = 'octet statistics 1';

const number = v.pipe(v.number(), v.finite());
const numbers = v.array(number);

const schema = v.object({
  format: v.literal(FORMAT),
  source: v.object({ model: v.string(), pictures: v.string() }),
  images: v.pipe(v.number(), v.integer(), v.minValue(1)),
  equalize: v.boolean(),
  momentum: number,
  values: v.record(
    v.string(),
    v.object({
      count: number,
      images: number,
      min: number,
      max: number,
      sumOfSquares: number,
      channelSums: numbers,
      movingMin: number,
      movingMax: number,
      histogram: v.pipe(
        v.object({ counts: numbers, first: number, binWidth: number, zeros: number }),
        v.check(
          (histogram) => ActivationStatistics.holds(histogram),
          'a histogram has bins that do not exist',
        ),
      ),
    }),
  ),
});

/** The text of a statistics file. Numbers come back to the bit. */
export function writeStatistics(calibration: Calibration, recipe: Recipe, source: StatisticsSource): string {
  const values = Object.fromEntries(
    [...calibration.statistics].map(([name, statistics]) => {
      const { count, images, min, max, sumOfSquares, channelSums, movingMin, movingMax } = statistics;
      const { counts, ...histogram } = statistics.histogram();
      const kept = {
        count,
        images,
        min,
        max,
        sumOfSquares,
        channelSums: [...channelSums],
        movingMin,
        movingMax,
      };
      return [name, { ...kept, histogram: { ...histogram, counts: [...counts] } }];
    }),
  );
  const { images } = calibration;
  const { corrections, momentum } = recipe;
  return `${JSON.stringify({ format: FORMAT, source, images, equalize: corrections.equalize, momentum, values })}\n`;
}

/**
 * The calibration of `graph` that a statistics file holds, and what it was made from.
 *
 * @param model SHA-256 of the model file that `graph` was read from
 * @throws {InputError} where it is no such file, or of another model, or of a recipe whose `equalize` or `momentum` differ
 */
export function readStatistics(
  text: string,
  graph: Graph,
  model: string,
  recipe: Recipe,
): { readonly calibration: Calibration; readonly source: StatisticsSource } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`the statistics are not JSON: ${(cause as Error).message}`, { cause });
  }
  const result = v.safeParse(schema, parsed);
  if (!result.success) {
    throw new InputError(`the statistics are not what "octet calibrate" writes: ${result.issues[0].message}`);
  }
  const { source, images, equalize, momentum, values } = result.output;
  if (source.model !== model) {
    throw new InputError('the statistics are of another model: calibrate this one with "octet calibrate"');
  }
  if (equalize !== recipe.corrections.equalize || momentum !== recipe.momentum) {
    throw new InputError(
      `the statistics were gathered with equalize ${equalize} and momentum ${momentum}: calibrate anew with this recipe`,
    );
  }
  checkFloat(graph);
  const { prepared, layers } = prepareGraph(graph, recipe);
  const statistics = new Map<string, ActivationStatistics>();
  for (const name of layers.values.keys()) {
    const kept = values[name];
    if (!kept)
      throw new InputError(`the statistics lack the value "${name}": calibrate anew with "octet calibrate"`);
    statistics.set(name, ActivationStatistics.restore(momentum, kept));
  }
  return { calibration: { graph: prepared, layers, statistics, images }, source };
}
