import { check, index, numbers, texts } from '../arguments.ts';
import { InputError } from '../errors.ts';
import { exp } from '../numerics/elementary.ts';

export interface RankedClass {
  /** Class name; the index as text where there is none. */
  readonly label: string;
  readonly index: number;
  readonly probability: number;
}

/** `exp(xᵢ − max) / Σ exp(xⱼ − max)` in float64. @throws {InputError} no numbers, or none that is finite */
export function softmax(logits: ArrayLike<number>): Float64Array {
  check('softmax', { logits: numbers }, { logits });
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!Number.isFinite(largest)) {
    throw new InputError(
      `softmax needs numbers, at least one of them finite: the largest logit is ${largest}`,
    );
  }
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    values[i] = exp(values[i] - largest);
    sum += values[i];
  }
  return values.map((value) => value / sum);
}

/**
 * The `k` most probable classes, most probable first; of equals, the lower index first.
 * @throws {InputError} an argument of the wrong type
 */
export function topK(probabilities: ArrayLike<number>, labels: readonly string[], k: number): RankedClass[] {
  check('topK', { probabilities: numbers, labels: texts, k: index }, { probabilities, labels, k });
  return Array.from(probabilities, (probability, index) => ({
    label: labels[index] ?? String(index),
    index,
    probability,
  }))
    .sort((a, b) => b.probability - a.probability || a.index - b.index)
    .slice(0, k);
}
