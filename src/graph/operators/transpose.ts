import type { Node } from '../graph.ts';
import { movingOperator, wholeAxes } from './moving.ts';
import { ints } from './signature.ts';

/** The input's axis that each axis of the result is; the axes reversed where `perm` is left out. */
export function transposedAxes(node: Node, rank: number): readonly number[] {
  const { perm } = node.attributes;
  return Array.isArray(perm) ? perm.map(Number) : Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}

export const transpose = movingOperator({
  op: 'Transpose',
  inputs: [1, 1],
  attributes: { perm: ints() },
  shape({ shape }, _, node) {
    const axes = transposedAxes(node, shape.length);
    if (axes.toSorted((a, b) => a - b).join() !== [...shape.keys()].join()) {
      return `perm [${axes}] is no order of the axes of [${shape}]`;
    }
    return axes.map((axis) => shape[axis]);
  },
  move(node, { from }) {
    const axes = wholeAxes(from);
    return { axes: transposedAxes(node, from.length).map((axis) => axes[axis]) };
  },
});
