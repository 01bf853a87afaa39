import { broadcastStrides, copyStrided } from '../strided.ts';
import { defineOperator, type Value } from './operator.ts';
import { tensor } from './signature.ts';

const zero: Value = { dtype: 'float32', shape: [1], data: Float32Array.of(0) };

export const constantOfShape = defineOperator({
  op: 'ConstantOfShape',
  since: 9,
  inputs: [1, 1],
  attributes: { value: tensor() },
  role: 'none',
  shape(_x, _rest, node, context) {
    const dims = context.elements(node.inputs[0]);
    if (dims?.some((dim) => typeof dim === 'number' && dim < 0)) return `shape [${dims}] has a negative size`;
    const { value } = node.attributes;
    const dtype = typeof value === 'object' && 'dtype' in value ? value.dtype : 'float32';
    return dims && { dtype, shape: dims };
  },
  evaluate({ node, shape }) {
    const { value } = node.attributes;
    const fill = typeof value === 'object' && 'dtype' in value ? value : zero;
    if (fill.data.length !== 1) return undefined;
    return { dtype: fill.dtype, shape, data: copyStrided(fill.data, shape, broadcastStrides([1], shape)) };
  },
});
