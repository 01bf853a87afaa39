import { resolveAxis } from '../attributes.ts';
import { around, sizeOf, zeros } from './dense.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';

export const oneHot = defineOperator({
  op: 'OneHot',
  since: 9,
  inputs: [3, 3],
  attributes: { axis: int(-1) },
  role: 'none',
  shape({ shape }, [, values], node, { graph }) {
    const depth = graph.constants.get(node.inputs[1]);
    const axis = resolveAxis(this.number(node, 'axis'), shape.length + 1);
    if (!depth || !values) return undefined;
    if (axis === undefined) return `axis is outside a tensor of rank ${shape.length + 1}`;
    return { dtype: values.dtype, shape: shape.toSpliced(axis, 0, Number(depth.data[0])) };
  },
  /** Indices count from the end where negative; one outside the depth has no hot element. */
  evaluate({ node, inputs: [indices, , values], dtype, shape }) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (!indices || values?.data.length !== 2 || axis === undefined) return undefined;
    const [outer, depth, inner] = around(shape, axis);
    const [off, on] = values.data;
    const data = zeros(dtype, sizeOf(shape)).fill(off as never);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const index = Number(indices.data[o * inner + i]);
        const hot = index < 0 ? index + depth : index;
        if (hot >= 0 && hot < depth) data[(o * depth + hot) * inner + i] = on;
      }
    }
    return { dtype, shape, data };
  },
});
