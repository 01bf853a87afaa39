import { rowMajorStrides, sliceRanges } from '../strided.ts';
import { movingOperator, wholeAxes } from './moving.ts';
import { int64 } from './normalize-context.ts';
import { ints, required, until } from './signature.ts';

export const slice = movingOperator({
  op: 'Slice',
  inputs: [1, 5],
  attributes: {
    starts: until(10, required(ints())),
    ends: until(10, required(ints())),
    axes: until(10, ints()),
  },
  /** All but the tensor were attributes before opset 10. */
  normalize(node, context) {
    const { starts, ends, axes } = node.attributes;
    if (context.graph.opset >= 10) {
      if (node.inputs.length < 3) {
        context.problems.node(node, `has ${node.inputs.length} inputs, expected 3 to 5`);
      }
      return [node];
    }
    const inputs = [starts, ends, axes].flatMap((list, i) =>
      Array.isArray(list) ? [context.constant(`${node.name}.${i}`, int64(list as number[]))] : [],
    );
    return [{ ...node, inputs: [node.inputs[0], ...inputs], attributes: {} }];
  },
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
