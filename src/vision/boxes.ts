import * as v from 'valibot';
import { check, count, finite, numbers, oneOf, options } from '../arguments.ts';
import { InputError } from '../errors.ts';

export interface NonMaxSuppressionOptions {
  /** A box goes where its overlap with a kept one is above this. Default 0.5. */
  readonly threshold?: number;
  /**
   * How overlap is measured: `union`, the intersection over the union (the default), or `minimum`, the intersection over the smaller
   * of the two areas, which removes boxes that lie inside others.
   */
  readonly overlap?: 'union' | 'minimum';
  /** Class of each box: boxes of different classes leave each other alone. Default: all of one class. */
  readonly classes?: ArrayLike<number>;
  /** Boxes with a lower score are left out. Default: none. */
  readonly minScore?: number;
  /** At most so many boxes. Default: no limit. */
  readonly limit?: number;
}

const nonMaxSuppressionOptions = {
  threshold: finite,
  overlap: oneOf('union', 'minimum'),
  classes: numbers,
  minScore: finite,
  limit: count,
};

/** Numbers that can be compared and computed with. */
const finiteNumbers = v.pipe(
  numbers,
  v.check((values) => Array.prototype.every.call(values, Number.isFinite), 'a list of finite numbers'),
);

/**
 * Non-maximum suppression: of boxes that overlap, the one with the best score. As `torchvision.ops.nms` and, with `classes`, `batched_nms`,
 * in float64.
 *
 * @param boxes [N, 4]: left, top, right, bottom; one whose right is left of its left, or likewise in height, has no area
 * @param scores [N]
 * @returns indices of the boxes that stay, best score first; of equal scores, the lower index first
 * @throws {InputError} lengths that do not fit each other, or values that are not finite
 */
export function nonMaxSuppression(
  boxes: ArrayLike<number>,
  scores: ArrayLike<number>,
  suppressing: NonMaxSuppressionOptions = {},
): number[] {
  check(
    'nonMaxSuppression',
    { boxes: finiteNumbers, scores: finiteNumbers, options: options(nonMaxSuppressionOptions) },
    { boxes, scores, options: suppressing },
  );
  const { threshold = 0.5, overlap = 'union', classes, minScore = -Infinity, limit = Infinity } = suppressing;
  if (boxes.length !== scores.length * 4) {
    throw new InputError(
      `nonMaxSuppression: ${scores.length} scores go with ${scores.length * 4} numbers of boxes, not ${boxes.length}`,
    );
  }
  if (classes && classes.length !== scores.length) {
    throw new InputError(
      `nonMaxSuppression: ${scores.length} scores go with as many classes, not ${classes.length}`,
    );
  }
  const candidates = Array.from(scores, (_, index) => index)
    .filter((index) => scores[index] >= minScore)
    .sort((a, b) => scores[b] - scores[a] || a - b);
  const areas = Float64Array.from(scores, (_, index) => areaOf(boxes, index));
  const kept: number[] = [];
  for (const index of candidates) {
    if (kept.length === limit) break;
    const suppressed = kept.some((other) => {
      if (classes && classes[other] !== classes[index]) return false;
      const shared = intersectionOf(boxes, other, index);
      const [a, b] = [areas[other], areas[index]];
      // Of two boxes without an area the share is 0 / 0, which is above nothing.
      return shared / (overlap === 'union' ? a + b - shared : Math.min(a, b)) > threshold;
    });
    if (!suppressed) kept.push(index);
  }
  return kept;
}

function areaOf(boxes: ArrayLike<number>, index: number): number {
  const [left, top, right, bottom] = [0, 1, 2, 3].map((side) => boxes[index * 4 + side]);
  return Math.max(0, right - left) * Math.max(0, bottom - top);
}

function intersectionOf(boxes: ArrayLike<number>, a: number, b: number): number {
  const [i, j] = [a * 4, b * 4];
  const width = Math.min(boxes[i + 2], boxes[j + 2]) - Math.max(boxes[i], boxes[j]);
  const height = Math.min(boxes[i + 3], boxes[j + 3]) - Math.max(boxes[i + 1], boxes[j + 1]);
  return Math.max(0, width) * Math.max(0, height);
}
