import { broadcastShapes, numericProduct, sameOrUnknown } from '../shapes.ts';
import { broadcastStrides } from '../strided.ts';
import { defineOperator, isFloats } from './operator.ts';
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
  /** Each sum in float64, from first to last, and scaled and added to there; rounded once. */
  evaluate({ node, inputs: [a, b, c], shape }) {
    if (!isFloats(a) || !isFloats(b) || (c && !isFloats(c))) return undefined;
    const [m, n] = shape;
    const [alpha, beta] = [this.number(node, 'alpha'), this.number(node, 'beta')];
    const transA = this.number(node, 'transA') !== 0;
    const transB = this.number(node, 'transB') !== 0;
    const k = a.shape[transA ? 0 : 1];
    const [aRow, aColumn] = transA ? [1, m] : [k, 1];
    const [bRow, bColumn] = transB ? [1, k] : [n, 1];
    const [cRow, cColumn] = c ? broadcastStrides(c.shape, shape) : [0, 0];
    const data = new Float32Array(m * n);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          sum += a.data[i * aRow + p * aColumn] * b.data[p * bRow + j * bColumn];
        }
        data[i * n + j] = alpha * sum + (c ? beta * c.data[i * cRow + j * cColumn] : 0);
      }
    }
    return { dtype: 'float32', shape, data };
  },
});
