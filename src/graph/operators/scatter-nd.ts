import { sizeOf } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { sliceStarts } from './gather-nd.ts';
import { defineOperator } from './operator.ts';
import { reductionAttribute, updater } from './scattering.ts';
import { since } from './signature.ts';

/** A copy of the data in which the slices that the indices list are updated, in their order. */
export const scatterND = defineOperator({
  op: 'ScatterND',
  since: 11,
  inputs: [3, 3],
  attributes: { reduction: since(16, reductionAttribute) },
  role: 'none',
  shape: sameShape,
  evaluate({ node, inputs: [x, indices, updates], dtype, shape }) {
    if (!x || !indices || x.dtype !== updates?.dtype) return undefined;
    const depth = indices.shape.at(-1) ?? 0;
    const starts = depth <= shape.length ? sliceStarts(indices, shape, 0) : undefined;
    const data = x.data.slice();
    const update = updater(node, data);
    const length = sizeOf(shape.slice(depth));
    if (!update || starts?.length !== updates.data.length / length) return undefined;
    for (const [i, start] of starts.entries())
      for (let at = 0; at < length; at++) update(start + at, updates.data[i * length + at]);
    return { dtype, shape, data };
  },
});
