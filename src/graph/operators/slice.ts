import { rowMajorStrides, sliceRanges } from '../strided.ts';
import { movingOperator, wholeAxes } from './moving.ts';

export const slice = movingOperator({
  op: 'Slice',
  inputs: [3, 5],
  shape({ shape }, _, node, { numbers }) {
    const ranges = sliceRanges(node, shape, numbers);
    return ranges && shape.map((dim, axis) => ranges.get(axis)?.length ?? dim);
  },
  sizes(node, context) {
    const from = context.elements(node.inputs[0]);
    const range = from && sliceRanges(node, [from.length], context.numbers)?.get(0);
    return range && Array.from({ length: range.length }, (_, i) => from[range.start + i * range.step]);
  },
  move(node, { from, numbers }) {
    const ranges = sliceRanges(node, from, numbers);
    const strides = rowMajorStrides(from);
    const axes = wholeAxes(from);
    for (const [axis, { start, step, length }] of ranges ?? []) {
      axes[axis] = Int32Array.from({ length }, (_, i) => (start + i * step) * strides[axis]);
    }
    return ranges && { axes };
  },
});
