/** `diffModels`: the checked door to diff.ts, which reports carry inside. */
import { check } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { diffLayers, type ModelDiff } from './diff.ts';
import type { Inspection } from './inspect.ts';
import { anInspection } from './schema.ts';

/**
 * Compares two inspections layer by layer: of two recipes, two versions, or one model on two devices.
 *
 * @throws {InputError} no inspection, or the models have no layer of the same name
 */
export function diffModels(before: Inspection, after: Inspection): ModelDiff {
  check('diffModels', { before: anInspection, after: anInspection }, { before, after });
  const layers = diffLayers(before, after);
  if (!layers.some((layer) => layer.before && layer.after)) {
    throw new InputError(
      'the two models have no layer of the same name: a diff is of two versions of one model',
    );
  }
  return { diff: 1, before, after, layers };
}
