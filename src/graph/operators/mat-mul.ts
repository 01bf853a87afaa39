import { broadcastShapes, numericProduct, sameOrUnknown } from '../shapes.ts';
import { defineOperator } from './operator.ts';

export const matMul = defineOperator({
  op: 'MatMul',
  inputs: [2, 2],
  role: 'computes',
  learned: [0, 1],
  macs: (shape, weights) => numericProduct(shape.slice(1)) * (weights.at(-2) ?? 1),
  shape(a, [b]) {
    const bShape = b?.shape ?? [];
    if (a.shape.length < 2 || bShape.length < 2) {
      return `needs two matrices, has shapes [${a.shape}] and [${bShape}]`;
    }
    if (!sameOrUnknown(a.shape.at(-1)!, bShape.at(-2)!)) {
      return `inner dimensions differ: shapes [${a.shape}] and [${bShape}]`;
    }
    if (bShape.includes(0)) return `weights have shape [${bShape}], where positive sizes are needed`;
    const leading = broadcastShapes(a.shape.slice(0, -2), bShape.slice(0, -2));
    if (!leading) return `shapes [${a.shape}] and [${bShape}] cannot be broadcast together`;
    return [...leading, a.shape.at(-2)!, bShape.at(-1)!];
  },
});
