import { constantNumbers, resolveAxis } from '../attributes.ts';
import type { Known } from './operator.ts';
import { around, sizeOf, zeros } from './dense.ts';
import { defineOperator } from './operator.ts';
import { int64, without } from './normalize-context.ts';
import { int, required, since, until } from './signature.ts';

/** The k largest (or smallest) elements along an axis, in order, and their places. Equal ones are in the order of their places. */
export const topK = defineOperator({
  op: 'TopK',
  inputs: [1, 2],
  outputs: 2,
  attributes: {
    k: until(10, required(int())),
    axis: int(-1),
    largest: since(11, int(1)),
    sorted: since(11, int(1)),
  },
  role: 'none',
  /** k was an attribute before opset 10. */
  normalize(node, context) {
    const { k } = node.attributes;
    if (context.graph.opset >= 10) {
      if (node.inputs.length < 2) context.problems.node(node, 'has 1 inputs, expected 2');
      return [node];
    }
    const input = context.constant(`${node.name}.k`, int64([Number(k)]));
    return [{ ...node, inputs: [node.inputs[0], input], attributes: without(node, 'k') }];
  },
  shape({ dtype, shape }, _, node, { graph }) {
    const k = constantNumbers(graph, node.inputs[1])?.[0];
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (k === undefined) return undefined;
    const size = axis === undefined ? undefined : shape[axis];
    if (axis === undefined || k < 0 || (typeof size === 'number' && k > size))
      return `takes ${k} along axis ${this.number(node, 'axis')} of [${shape}]`;
    const result = shape.with(axis, k);
    return {
      outputs: [
        { dtype, shape: result },
        { dtype: 'int64', shape: result },
      ] satisfies Known[],
    };
  },
  evaluate({ node, inputs: [x], output = 0, dtype, shape }) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (!x || axis === undefined) return undefined;
    const sign = this.number(node, 'largest') === 0 ? 1 : -1;
    const [outer, length, inner] = around(x.shape, axis);
    const k = shape[axis];
    const data = zeros(dtype, sizeOf(shape));
    const places = Array.from({ length }, (_, i) => i);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const at = (place: number) => x.data[(o * length + place) * inner + i];
        const sorted = places.toSorted((a, b) => {
          const [left, right] = [at(a), at(b)];
          return left === right ? a - b : left < right ? -sign : sign;
        });
        for (let rank = 0; rank < k; rank++) {
          const value = output === 0 ? at(sorted[rank]) : BigInt(sorted[rank]);
          data[(o * k + rank) * inner + i] = value;
        }
      }
    }
    return { dtype, shape, data };
  },
});
