import { exp } from '../../numerics/elementary.ts';
import { resolveAxis } from '../attributes.ts';
import { sameShape } from './elementwise.ts';
import { shapeOf } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { int } from './signature.ts';

export const softmax = defineOperator({
  op: 'Softmax',
  inputs: [1, 1],
  /** 1 before opset 13, which `normalize` writes out. */
  attributes: { axis: int(-1) },
  role: 'computes',
  note: '`softmax`, over up to 2,048 values of any axis but the batch; at the end of the network in float on the CPU',
  /** Before opset 13, all dimensions from `axis` on were normalized together. */
  normalize(node, context) {
    if (context.graph.opset >= 13) return [node];
    const shape = shapeOf(context, node.inputs[0]);
    const given = node.attributes.axis;
    const axis = shape && resolveAxis(typeof given === 'number' ? given : 1, shape.length);
    if (shape && axis !== undefined && shape.slice(axis + 1).some((dim) => dim !== 1)) {
      context.problems.node(
        node,
        `normalizes over axes ${axis} to ${shape.length - 1} together; only one is supported`,
      );
    }
    return [axis === undefined ? node : { ...node, attributes: { axis } }];
  },
  shape: sameShape,
  /** In float64: the sum of exponentials from first to last along the axis, one division, rounded once. */
  evaluate({ node, inputs: [x], shape }) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (!isFloats(x) || axis === undefined) return undefined;
    const length = shape[axis];
    const inner = shape.slice(axis + 1).reduce((product, size) => product * size, 1);
    const data = new Float32Array(x.data.length);
    const exponentials = new Float64Array(length);
    for (let outer = 0; outer < data.length; outer += length * inner) {
      for (let first = outer; first < outer + inner; first++) {
        let largest = -Infinity;
        for (let i = 0; i < length; i++) largest = Math.max(largest, x.data[first + i * inner]);
        let sum = 0;
        for (let i = 0; i < length; i++) sum += exponentials[i] = exp(x.data[first + i * inner] - largest);
        for (let i = 0; i < length; i++) data[first + i * inner] = exponentials[i] / sum;
      }
    }
    return { dtype: 'float32', shape, data };
  },
});
