/** Which quantizer each activation gets. */
import type { Calibration } from './calibrate.ts';
import { observers } from './observers.ts';
import { activationRecipe, type ActivationRecipe, type Recipe } from './recipe.ts';
import { chooseParameters, type QuantizationParameters } from './scheme.ts';

/** How a value is quantized. */
export interface Activation {
  readonly recipe: ActivationRecipe;
  readonly parameters: QuantizationParameters;
}

/** The quantizer of every quantized value, by its name, from what calibration saw. */
export function chooseActivations(
  { layers, statistics }: Calibration,
  recipe: Recipe,
): Map<string, Activation> {
  const result = new Map<string, Activation>();
  for (const [name, { names, producer, sharedWith }] of layers.values) {
    if (sharedWith !== undefined) {
      result.set(name, result.get(sharedWith)!);
      continue;
    }
    const options = activationRecipe(recipe, names, !producer);
    const range = observers[options.observer](statistics.get(name)!, options);
    result.set(name, { recipe: options, parameters: chooseParameters(range, options.bits, options.scheme) });
  }
  return result;
}
