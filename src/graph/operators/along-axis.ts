/** Functions of all elements along one axis, or before opset 13 of those of all axes from one on. */
import { resolveAxis } from '../attributes.ts';
import { around, sizeOf } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { shapeOf } from './normalize-context.ts';
import { defineOperator, isFloats, type OnnxOperator } from './operator.ts';
import { int } from './signature.ts';

/** `of` gives the results for the elements along the axis, in order. */
export function alongAxisOperator(
  op: string,
  of: (elements: Float32Array) => ArrayLike<number>,
): OnnxOperator {
  return defineOperator<string>({
    op,
    inputs: [1, 1],
    /** 1 before opset 13, which `normalize` writes out. */
    attributes: { axis: int(-1) },
    role: 'computes',
    /** Before opset 13, all dimensions from `axis` on are taken together. */
    normalize(node, context) {
      if (context.graph.opset >= 13) return [node];
      const shape = shapeOf(context, node.inputs[0]);
      const given = node.attributes.axis;
      const axis = shape && resolveAxis(typeof given === 'number' ? given : 1, shape.length);
      if (shape && axis !== undefined && shape.slice(axis + 1).some((dim) => dim !== 1)) {
        context.problems.node(
          node,
          `is over axes ${axis} to ${shape.length - 1} together; only one is supported`,
        );
      }
      return [axis === undefined ? node : { ...node, attributes: { axis } }];
    },
    shape: sameShape,
    evaluate({ node, inputs: [x], shape }) {
      const axis = resolveAxis(this.number(node, 'axis'), shape.length);
      if (!isFloats(x) || axis === undefined) return undefined;
      const [outer, length, inner] = around(shape, axis);
      const data = new Float32Array(sizeOf(shape));
      const elements = new Float32Array(length);
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          const first = o * length * inner + i;
          for (let at = 0; at < length; at++) elements[at] = x.data[first + at * inner];
          const results = of(elements);
          for (let at = 0; at < length; at++) data[first + at * inner] = results[at];
        }
      }
      return { dtype: 'float32', shape, data };
    },
  });
}
