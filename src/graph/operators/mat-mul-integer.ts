import { withoutZeroPoint } from './integer-products.ts';
import { matMul } from './mat-mul.ts';
import { defineOperator } from './operator.ts';
import { broadcastStrides, copyStrided } from '../strided.ts';

/** https://onnx.ai/onnx/operators/onnx__MatMulInteger.html */
export const matMulInteger = defineOperator({
  op: 'MatMulInteger',
  since: 10,
  inputs: [2, 4],
  role: 'computes',
  learned: [0, 1],
  macs: (shape, weights) => matMul.macs!(shape, weights),
  shape(a, [b, aZeroPoint, bZeroPoint], node, context) {
    const shape = matMul.shape(a, [b], node, context);
    if (!Array.isArray(shape)) return shape;
    const sizes = [
      [aZeroPoint, a.shape.at(-2)],
      [bZeroPoint, b?.shape.at(-1)],
    ] as const;
    for (const [zeroPoint, size] of sizes) {
      const [own = 1, ...more] = zeroPoint?.shape ?? [];
      if (more.length > 0 || (own !== 1 && own !== size))
        return `a zero point has shape [${zeroPoint?.shape ?? []}], where one, or one a row or column, is needed`;
    }
    return { dtype: 'int32', shape: shape as readonly (number | string)[] };
  },
  evaluate({ inputs: [a, b, aZeroPoint, bZeroPoint], shape }) {
    const k = a?.shape.at(-1) ?? 1;
    const [m, n] = shape.slice(-2);
    const left = withoutZeroPoint(a, aZeroPoint, (i) => Math.floor(i / k) % m);
    const right = withoutZeroPoint(b, bZeroPoint, (i) => i % n);
    if (!left || !right) return undefined;
    const leading = shape.slice(0, -2);
    const [leftMatrix, rightMatrix] = [a!, b!].map((operand) => {
      const own = operand.shape.slice(0, -2);
      const count = own.reduce((product, size) => product * size, 1);
      return copyStrided(
        Int32Array.from({ length: count }, (_, i) => i),
        leading,
        broadcastStrides(own, leading),
      );
    });
    const data = new Int32Array(leftMatrix.length * m * n);
    let to = 0;
    for (const [i, matrix] of leftMatrix.entries()) {
      for (let row = 0; row < m; row++) {
        const from = (matrix * m + row) * k;
        for (let column = 0; column < n; column++, to++) {
          let sum = 0;
          for (let at = 0; at < k; at++)
            sum += left[from + at] * right[(rightMatrix[i] * k + at) * n + column];
          data[to] = sum;
        }
      }
    }
    return { dtype: 'int32', shape, data };
  },
});
