import type { Node } from '../graph.ts';
import { copyStrided, rowMajorStrides } from '../strided.ts';
import { defineOperator } from './operator.ts';
import { ints } from './signature.ts';

/** The input's axis that each axis of the result is; the axes reversed where `perm` is left out. */
export function transposedAxes(node: Node, rank: number): readonly number[] {
  const { perm } = node.attributes;
  return Array.isArray(perm) ? perm.map(Number) : Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
}

export const transpose = defineOperator({
  op: 'Transpose',
  inputs: [1, 1],
  attributes: { perm: ints() },
  role: 'moves',
  note: 'in channel shuffles only: `gather`',
  shape({ shape }, _, node) {
    const axes = transposedAxes(node, shape.length);
    if (axes.toSorted((a, b) => a - b).join() !== [...shape.keys()].join()) {
      return `perm [${axes}] is no order of the axes of [${shape}]`;
    }
    return axes.map((axis) => shape[axis]);
  },
  evaluate({ node, inputs: [x], shape }) {
    if (!x) return undefined;
    const strides = rowMajorStrides(x.shape);
    const order = transposedAxes(node, strides.length).map((axis) => strides[axis]);
    return { dtype: x.dtype, shape, data: copyStrided(x.data, shape, order) };
  },
});
