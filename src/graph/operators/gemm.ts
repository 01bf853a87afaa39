import { broadcastShapes, numericProduct, sameOrUnknown } from '../shapes.ts';
import { defineOperator } from './operator.ts';
import { float, int } from './signature.ts';

export const gemm = defineOperator({
  op: 'Gemm',
  inputs: [2, 3],
  attributes: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  role: 'computes',
  learned: [1, 2],
  macs: (_, weights) => numericProduct(weights),
  shape(a, [b, c], node) {
    if (a.shape.length !== 2 || b?.shape.length !== 2) {
      return `needs two matrices, has shapes [${a.shape}] and [${b?.shape ?? []}]`;
    }
    const transA = this.number(node, 'transA') !== 0;
    const transB = this.number(node, 'transB') !== 0;
    const [m, k] = transA ? [a.shape[1], a.shape[0]] : [a.shape[0], a.shape[1]];
    const [kb, n] = transB ? [b.shape[1], b.shape[0]] : [b.shape[0], b.shape[1]];
    if (!sameOrUnknown(k, kb)) return `inner dimensions differ: ${k} and ${kb}`;
    if (kb === 0 || n === 0) return `weights have shape [${b.shape}], where positive sizes are needed`;
    if (c) {
      const sum = broadcastShapes([m, n], c.shape);
      if (sum?.length !== 2 || !sameOrUnknown(sum[1], n) || !sameOrUnknown(sum[0], m)) {
        return `bias of shape [${c.shape}] cannot be added to [${m},${n}]`;
      }
      if (c.shape.length === 2 && c.shape[0] !== 1) {
        return `bias of shape [${c.shape}] differs from image to image, which is not supported`;
      }
    }
    return [m, n];
  },
});
