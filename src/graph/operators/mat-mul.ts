import { plainFloatKernels } from '../float-kernels.ts';
import { broadcastShapes, numericProduct, sameOrUnknown } from '../shapes.ts';
import { broadcastStrides, copyStrided } from '../strided.ts';
import { defineOperator, isFloats } from './operator.ts';

export const matMul = defineOperator({
  op: 'MatMul',
  inputs: [2, 2],
  role: 'computes',
  learned: [0, 1],
  note: 'with a constant matrix: `conv2d`; of two activations, batch by batch: `matMul`',
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
  /** A third input is the bias of the columns that lowering joins to a product (program/prepare.ts). */
  evaluate({ inputs: [a, b, bias], shape, kernels = plainFloatKernels }) {
    if (!isFloats(a) || !isFloats(b) || (bias && !isFloats(bias)) || shape.length < 2) return undefined;
    const [m, n] = shape.slice(-2);
    const k = a.shape.at(-1)!;
    // Matrices are repeated like elements: their offsets, copied as the leading dimensions broadcast.
    const leading = shape.slice(0, -2);
    const [aMatrix, bMatrix] = [a, b].map((operand) => {
      const own = operand.shape.slice(0, -2);
      const count = own.reduce((product, size) => product * size, 1);
      return copyStrided(
        Int32Array.from({ length: count }, (_, i) => i),
        leading,
        broadcastStrides(own, leading),
      );
    });
    const data = new Float32Array(aMatrix.length * m * n);
    for (const [i, matrix] of aMatrix.entries()) {
      kernels.multiply({
        ...{ m, n, k, bStrides: [n, 1] },
        a: a.data.subarray(matrix * m * k, (matrix + 1) * m * k),
        b: b.data.subarray(bMatrix[i] * k * n, (bMatrix[i] + 1) * k * n),
        y: data.subarray(i * m * n, (i + 1) * m * n),
      });
    }
    if (bias) for (const [i, sum] of data.entries()) data[i] = sum + bias.data[i % n];
    return { dtype: 'float32', shape, data };
  },
});
