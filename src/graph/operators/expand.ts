import { broadcastShapes } from '../shapes.ts';
import { broadcastStrides } from '../strided.ts';
import { movingOperator } from './moving.ts';

/** Numpy's broadcasting to a given shape (https://onnx.ai/onnx/operators/onnx__Expand.html). */
export const expand = movingOperator({
  op: 'Expand',
  since: 8,
  inputs: [2, 2],
  shape({ shape }, _, node, { elements }) {
    const wanted = elements(node.inputs[1]);
    if (!wanted) return undefined;
    return broadcastShapes(shape, wanted) ?? `cannot expand [${shape}] to [${wanted}]`;
  },
  move(_, { from, to }) {
    const strides = broadcastStrides(from, to);
    return { axes: to.map((size, axis) => Int32Array.from({ length: size }, (_, i) => i * strides[axis])) };
  },
});
