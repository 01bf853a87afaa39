import { resolveAxis } from '../attributes.ts';
import { around, zeros } from './dense.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';

/** The slices along an axis, or elements in row-major order, for which the condition holds. */
export const compress = defineOperator({
  op: 'Compress',
  since: 9,
  inputs: [2, 2],
  attributes: { axis: int() },
  role: 'none',
  hasDynamicShape: true,
  shape({ shape }, _, node) {
    const name = `${node.outputs[0]}.kept`;
    if (node.attributes.axis === undefined) return [name];
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    return axis === undefined ? `axis is outside a tensor of shape [${shape}]` : shape.with(axis, name);
  },
  evaluate({ node, inputs: [x, condition], dtype }) {
    if (!x || !condition) return undefined;
    const isFlat = node.attributes.axis === undefined;
    const shape = isFlat ? [x.data.length] : x.shape;
    const axis = isFlat ? 0 : resolveAxis(this.number(node, 'axis'), shape.length);
    if (axis === undefined || condition.data.length > shape[axis]) return undefined;
    const [outer, length, inner] = around(shape, axis);
    const kept = Array.from(condition.data.keys()).filter((i) => condition.data[i]);
    const data = zeros(dtype, outer * kept.length * inner);
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (const place of kept) {
        const from = (o * length + place) * inner;
        data.set(x.data.subarray(from, from + inner) as never, to);
        to += inner;
      }
    }
    return { dtype, shape: shape.with(axis, kept.length), data };
  },
});
