import { resolveAxis } from '../attributes.ts';
import type { Dimension, TensorData } from '../graph.ts';
import { MAX_LIST } from '../limits.ts';
import { sameOrUnknown } from '../shapes.ts';
import { defineOperator } from './operator.ts';
import { int, required } from './signature.ts';

export const concat = defineOperator({
  op: 'Concat',
  inputs: [1, Infinity],
  attributes: { axis: required(int()) },
  role: 'computes',
  shape(first, rest, node) {
    const axis = resolveAxis(this.number(node, 'axis'), first.shape.length);
    if (axis === undefined)
      return `axis ${this.number(node, 'axis')} is outside a tensor of shape [${first.shape}]`;
    const shape = [...first.shape];
    for (const other of rest) {
      if (other?.shape.length !== shape.length)
        return `inputs have different ranks: [${shape}] and [${other?.shape ?? []}]`;
      for (const [i, dim] of other.shape.entries()) {
        const mine = shape[i];
        if (i === axis) {
          shape[i] =
            typeof mine === 'number' && typeof dim === 'number' ? mine + dim : `${node.outputs[0]}.${i}`;
        } else if (!sameOrUnknown(mine, dim)) {
          return `inputs differ outside axis ${axis}: [${first.shape}] and [${other.shape}]`;
        }
      }
    }
    return shape;
  },
  sizes(node, context) {
    const parts: Dimension[] = [];
    for (const input of node.inputs) {
      const part = context.elements(input);
      if (!part || parts.length > MAX_LIST) return undefined;
      parts.push(...part);
    }
    return parts;
  },
  evaluate({ node, inputs, dtype, shape }) {
    const parts = inputs.filter((part) => part !== undefined);
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (axis === undefined || parts.some((part) => part.dtype !== dtype)) return undefined;
    const outer = shape.slice(0, axis).reduce((product, dim) => product * dim, 1);
    const length = shape.reduce((product, dim) => product * dim, 1);
    const data = new (parts[0].data.constructor as new (length: number) => TensorData)(length);
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (const part of parts) {
        const size = part.data.length / outer;
        data.set(part.data.subarray(o * size, (o + 1) * size) as never, to);
        to += size;
      }
    }
    return { dtype, shape, data };
  },
});
