import { resolveAxis } from '../attributes.ts';
import { rowMajorStrides } from '../strided.ts';
import { coordinatesOf, sizeOf, zeros } from './dense.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';

/** Element by element, the index is the place along one axis; along the others it is the index's own. */
export const gatherElements = defineOperator({
  op: 'GatherElements',
  since: 11,
  inputs: [2, 2],
  attributes: { axis: int(0) },
  role: 'none',
  shape({ dtype, shape }, [indices], node) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (axis === undefined || indices?.shape.length !== shape.length)
      return `indices of shape [${indices?.shape ?? []}] do not fit axis ${axis} of [${shape}]`;
    return { dtype, shape: indices.shape };
  },
  evaluate({ node, inputs: [x, indices], dtype, shape }) {
    const axis = x && resolveAxis(this.number(node, 'axis'), x.shape.length);
    if (!x || !indices || axis === undefined) return undefined;
    const strides = rowMajorStrides(x.shape);
    const data = zeros(dtype, sizeOf(shape));
    for (let i = 0; i < data.length; i++) {
      const place = resolveAxis(Number(indices.data[i]), x.shape[axis]);
      if (place === undefined) return undefined;
      const at = coordinatesOf(i, shape).with(axis, place);
      if (at.some((coordinate, other) => coordinate >= x.shape[other])) return undefined;
      data[i] = x.data[at.reduce((sum, coordinate, other) => sum + coordinate * strides[other], 0)];
    }
    return { dtype, shape, data };
  },
});
