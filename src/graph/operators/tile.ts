import type { Dimension } from '../graph.ts';
import { movingOperator, wholeAxes } from './moving.ts';

/** Repeats the whole along each axis (https://onnx.ai/onnx/operators/onnx__Tile.html). */
export const tile = movingOperator({
  op: 'Tile',
  inputs: [2, 2],
  shape({ shape }, _, node, { numbers }) {
    const repeats = numbers(node.inputs[1]);
    if (!repeats) return undefined;
    if (repeats.length !== shape.length || repeats.some((count) => count < 0)) {
      return `repeats [${repeats}] do not fit a tensor of shape [${shape}]`;
    }
    return shape.map((dim, axis): Dimension => {
      if (repeats[axis] === 1) return dim;
      return typeof dim === 'number' ? dim * repeats[axis] : `${node.outputs[0]}.${axis}`;
    });
  },
  move: (_, { from, to }) => ({
    axes: wholeAxes(from).map((list, axis) =>
      Int32Array.from({ length: to[axis] }, (_, i) => list[i % list.length]),
    ),
  }),
});
