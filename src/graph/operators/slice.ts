import { copyStrided, rowMajorStrides, sliceRanges } from '../strided.ts';
import { defineOperator } from './operator.ts';

export const slice = defineOperator({
  op: 'Slice',
  inputs: [3, 5],
  role: 'moves',
  note: '`gather`: of channels',
  shape({ shape }, _, node, { numbers }) {
    const ranges = sliceRanges(node, shape, numbers);
    return ranges && shape.map((dim, axis) => ranges.get(axis)?.length ?? dim);
  },
  sizes(node, context) {
    const from = context.elements(node.inputs[0]);
    const range = from && sliceRanges(node, [from.length], context.numbers)?.get(0);
    return range && Array.from({ length: range.length }, (_, i) => from[range.start + i * range.step]);
  },
  evaluate({ node, inputs: [x], shape, numbers }) {
    const ranges = x && sliceRanges(node, x.shape, numbers);
    if (!ranges) return undefined;
    const strides = rowMajorStrides(x.shape);
    let offset = 0;
    for (const [axis, { start, step }] of ranges) {
      offset += start * strides[axis];
      strides[axis] *= step;
    }
    return { dtype: x.dtype, shape, data: copyStrided(x.data, shape, strides, offset) };
  },
});
