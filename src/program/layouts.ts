/** Layouts by logical axes: which of them are stored as rows, columns and channels. */
import { rowMajorStrides } from '../graph/strided.ts';
import type { Dimension } from '../graph/graph.ts';
import type { ImageShape, Layout } from './program.ts';

/** Neighbouring logical axes, counted with the batch, that one stored axis holds, from the outermost; none: it has one element. */
export type AxisGroups = readonly [
  rows: readonly number[],
  columns: readonly number[],
  channels: readonly number[],
];

/** The layout of `shape`, the batch first, that stores `groups`. Every axis behind the batch must be in one of them. */
export function groupedLayout(shape: readonly number[], groups: AxisGroups): Layout {
  const strides = rowMajorStrides([1, ...shape.slice(1)]);
  const count = shape.slice(1).reduce((product, size) => product * size, 1);
  const image = groups.map((axes) => axes.reduce((product, axis) => product * shape[axis], 1));
  const steps = groups.map((axes) => (axes.length > 0 ? strides[axes.at(-1)!] : count));
  return { image: image as unknown as ImageShape, strides: steps as unknown as ImageShape };
}

/** Which axes of `shape` the stored ones hold, undefined where an axis of the layout is no run of them. */
export function axisGroups({ image, strides }: Layout, shape: readonly number[]): AxisGroups | undefined {
  const logical = rowMajorStrides([1, ...shape.slice(1)]);
  const found = image.map((size, stored) => {
    const axes: number[] = [];
    if (size === 1) return axes;
    // Those of one element are in no group: they may stand anywhere.
    let covered = 1;
    for (let axis = shape.length - 1; axis >= 1 && covered < size; axis--) {
      if (shape[axis] === 1 || logical[axis] < strides[stored]) continue;
      if (covered === 1 && logical[axis] !== strides[stored]) return undefined;
      axes.unshift(axis);
      covered *= shape[axis];
    }
    return covered === size ? axes : undefined;
  });
  return found.every((axes) => axes !== undefined) ? (found as unknown as AxisGroups) : undefined;
}

/**
 * Which element of an array of `sizes`, broadcast to `shape`, each stored channel meets: `sizes` are as many as of `shape`, those that
 * do not vary 1. Undefined where other elements of a channel meet others.
 */
export function channelEntries(
  layout: Layout,
  shape: readonly number[],
  sizes: readonly number[],
): Int32Array | undefined {
  const channels = axisGroups(layout, shape)?.[2];
  const strides = rowMajorStrides(sizes);
  const isOfChannels = sizes.every((size, axis) => size === 1 || channels?.includes(axis));
  if (!channels || !isOfChannels || layout.image[2] > MAX_TABLES) return undefined;
  return Int32Array.from({ length: layout.image[2] }, (_, c) => {
    let [rest, entry] = [c, 0];
    for (const axis of channels.toReversed()) {
      if (sizes[axis] > 1) entry += (rest % shape[axis]) * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return entry;
  });
}

/** Most channels with tables of their own: a file may declare millions. */
const MAX_TABLES = 2 ** 16;

/** The layout of `shape` that stores `axis` innermost; undefined where it is the batch, or a size behind that is not fixed. */
export function innermostLayout(shape: readonly Dimension[], axis: number | undefined): Layout | undefined {
  const isFixed = shape.slice(1).every((size) => typeof size === 'number' && size > 0);
  if (axis === undefined || axis === 0 || !isFixed) return undefined;
  return groupedLayout(shape as readonly number[], groupsWithin(shape.length, axis));
}

/** Those of a tensor of `rank` dimensions that store `axis` innermost and keep the others in order. */
export function groupsWithin(rank: number, axis: number): AxisGroups {
  const before = Array.from({ length: axis - 1 }, (_, i) => i + 1);
  const behind = Array.from({ length: rank - axis - 1 }, (_, i) => axis + 1 + i);
  if (before.length === 0) return [behind.slice(0, -1), behind.slice(-1), [axis]];
  return behind.length === 0 ? [before.slice(0, -1), before.slice(-1), [axis]] : [before, behind, [axis]];
}
