/** Bits sweep: one calibration, many quantizations. */
import * as v from 'valibot';
import { asyncOptions, check, fn, integer } from '../arguments.ts';
import type { Graph } from '../graph/graph.ts';
import type { AsyncOptions } from '../progress.ts';
import { calibrationSchema, type Calibration } from './calibrate.ts';
import { quantizeCalibrated } from './quantize.ts';
import { parseRecipe, type RecipeInput } from './recipe.ts';

export interface BitWidths {
  readonly weights: number;
  readonly activations: number;
}

export interface SweepOptions<T> extends AsyncOptions {
  /** Bits to try, 2 to 8; every combination is. */
  readonly weightBits?: readonly number[];
  readonly activationBits?: readonly number[];
  /** All but the bits. Overrides of single layers hold for every combination. */
  readonly recipe?: RecipeInput;
  /** What to measure of each quantized model, e.g. its accuracy on a thousand images. */
  readonly evaluate: (graph: Graph, bits: BitWidths) => T | Promise<T>;
}

export interface SweepResult<T> extends BitWidths {
  readonly result: T;
}

/** Bits that a sweep tries unless told. */
export const SWEEP_BITS: readonly number[] = [8, 6, 5, 4, 3, 2];

const bitList = v.optional(v.array(integer(2, 8), 'an array of whole numbers from 2 to 8'));

const sweepOptions = v.object(
  {
    evaluate: fn,
    weightBits: bitList,
    activationBits: bitList,
    signal: v.optional(asyncOptions.signal),
    onProgress: v.optional(asyncOptions.onProgress),
  },
  'an object with evaluate',
);

/**
 * Quantizes a calibrated model at every combination of weight and activation bits and evaluates each, weights in the outer loop.
 *
 * @throws {InputError} where the recipe or the bits are wrong
 */
export async function sweepBits<T>(
  calibration: Calibration,
  options: SweepOptions<T>,
): Promise<SweepResult<T>[]> {
  check('sweepBits', { calibration: calibrationSchema, options: sweepOptions }, { calibration, options });
  const { weightBits = SWEEP_BITS, activationBits = SWEEP_BITS, evaluate, signal, onProgress } = options;
  const recipe = parseRecipe(options.recipe);
  const results: SweepResult<T>[] = [];
  const total = weightBits.length * activationBits.length;
  for (const weights of weightBits) {
    for (const activations of activationBits) {
      signal?.throwIfAborted();
      const bits = { weights, activations };
      const item = `W${weights}A${activations}`;
      onProgress?.({ stage: 'quantize', done: results.length, total, item });
      const { graph } = quantizeCalibrated(calibration, {
        ...recipe,
        weights: { ...recipe.weights, bits: weights },
        activations: { ...recipe.activations, bits: activations },
      });
      results.push({ ...bits, result: await evaluate(graph, bits) });
    }
  }
  onProgress?.({ stage: 'quantize', done: total, total });
  return results;
}
