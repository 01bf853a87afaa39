/** What is told of a run: classes and their probabilities, and the digest of the integers. */
import { createHash } from 'node:crypto';
import type { ModelOutput, Prediction } from '../model/model.ts';
import { softmax, topK } from '../vision/ranking.ts';
import type { UnitOutput } from './units.ts';

/**
 * SHA-256 of the integers behind the outputs, in hex: of each picture in order, of each output in the model's order, little-endian and
 * row-major. The same for the same model and inputs on every backend and machine.
 */
export function digestOf(results: readonly (readonly UnitOutput[])[]): string {
  const hash = createHash('sha256');
  for (const outputs of results) for (const { integers } of outputs) hash.update(integers);
  return hash.digest('hex');
}

/** Whether `rank` makes sense of the model's first output: one score a class. */
export function isClassifier([output]: readonly ModelOutput[]): boolean {
  const sizes = output.shape.slice(1) as number[];
  return sizes.reduce((product, size) => product * size, 1) === Math.max(...sizes);
}

/** Most probable classes of one picture, as `Model.classify` ranks them. */
export function rank(
  { activation, scale, zeroPoint }: ModelOutput,
  labels: readonly string[],
  data: UnitOutput['data'],
  k: number,
): Prediction[] {
  const scores = scale === null ? data : Float32Array.from(data, (q) => scale * (q - zeroPoint!));
  return topK(activation === 'softmax' ? scores : softmax(scores), labels, k);
}
