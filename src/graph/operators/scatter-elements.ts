import { resolveAxis } from '../attributes.ts';
import { rowMajorStrides } from '../strided.ts';
import { coordinatesOf } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator } from './operator.ts';
import { reductionAttribute, updater } from './scattering.ts';
import { int, since } from './signature.ts';

/** A copy of the data in which updates stand, in their order, where the indices say along one axis. */
export const scatterElements = defineOperator({
  op: 'ScatterElements',
  since: 11,
  inputs: [3, 3],
  attributes: { axis: int(0), reduction: since(16, reductionAttribute) },
  role: 'none',
  shape: sameShape,
  evaluate({ node, inputs: [x, indices, updates], dtype, shape }) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (!x || !indices || x.dtype !== updates?.dtype || axis === undefined) return undefined;
    if (indices.shape.join() !== updates.shape.join() || indices.shape.length !== shape.length)
      return undefined;
    const data = x.data.slice();
    const update = updater(node, data);
    if (!update) return undefined;
    const strides = rowMajorStrides(shape);
    for (let i = 0; i < indices.data.length; i++) {
      const place = resolveAxis(Number(indices.data[i]), shape[axis]);
      if (place === undefined) return undefined;
      const at = coordinatesOf(i, indices.shape).with(axis, place);
      if (at.some((coordinate, other) => coordinate >= shape[other])) return undefined;
      update(
        at.reduce((sum, coordinate, other) => sum + coordinate * strides[other], 0),
        updates.data[i],
      );
    }
    return { dtype, shape, data };
  },
});
