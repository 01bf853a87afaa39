import { constantNumbers } from '../attributes.ts';
import { resolveAxes } from '../shapes.ts';
import { movingOperator, wholeAxes } from './moving.ts';
import { OUTSIDE } from './operator.ts';
import { ints } from './signature.ts';
import { rowMajorStrides } from '../strided.ts';

/** Cuts off or fills up with zeros on both sides, to given sizes. */
export const centerCropPad = movingOperator({
  op: 'CenterCropPad',
  since: 18,
  inputs: [2, 2],
  attributes: { axes: ints() },
  shape({ shape }, _, node, { graph }) {
    const sizes = constantNumbers(graph, node.inputs[1]);
    if (!sizes) return undefined;
    const axes = axesOf(node.attributes.axes, shape.length);
    if (typeof axes === 'string') return axes;
    if (axes.length !== sizes.length) return `has ${sizes.length} sizes for ${axes.length} axes`;
    return shape.map((dim, axis) => (axes.includes(axis) ? sizes[axes.indexOf(axis)] : dim));
  },
  move(_, { from, to }) {
    const strides = rowMajorStrides(from);
    const whole = wholeAxes(from);
    return {
      axes: from.map((size, axis) => {
        if (to[axis] === size) return whole[axis];
        // The smaller half lies before.
        const before = Math.floor(Math.abs(to[axis] - size) / 2);
        const start = to[axis] < size ? before : -before;
        return Float64Array.from({ length: to[axis] }, (_, i) =>
          i + start < 0 || i + start >= size ? OUTSIDE : (i + start) * strides[axis],
        );
      }),
    };
  },
});

function axesOf(given: unknown, rank: number): readonly number[] | string {
  if (!Array.isArray(given)) return Array.from({ length: rank }, (_, axis) => axis);
  const resolved = resolveAxes(given as number[], rank);
  return typeof resolved === 'string' ? resolved : [...resolved];
}
