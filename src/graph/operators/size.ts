import { numericProduct } from '../shapes.ts';
import { defineOperator } from './operator.ts';
import { sizeOf } from './dense.ts';

export const size = defineOperator({
  op: 'Size',
  inputs: [1, 1],
  role: 'none',
  shape: () => ({ dtype: 'int64', shape: [] }),
  sizes(node, { graph }, values) {
    const dims = (values.get(node.inputs[0]) ?? graph.constants.get(node.inputs[0]))?.shape;
    return dims?.every((dim) => typeof dim === 'number') ? [numericProduct(dims)] : undefined;
  },
  evaluate: ({ inputs: [x] }) =>
    x && { dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(sizeOf(x.shape))) },
});
