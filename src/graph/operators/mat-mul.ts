import { plainFloatKernels } from '../float-kernels.ts';
import type { Node } from '../graph.ts';
import { broadcastShapes, numericProduct, sameOrUnknown } from '../shapes.ts';
import { broadcastStrides, copyStrided } from '../strided.ts';
import { int64, typed } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { squeeze } from './squeeze.ts';
import { unsqueeze } from './unsqueeze.ts';

export const matMul = defineOperator({
  op: 'MatMul',
  inputs: [2, 2],
  role: 'computes',
  learned: [0, 1],
  note: 'with a constant matrix: `conv2d`; of two activations, batch by batch: `matMul`',
  macs: (shape, weights) => numericProduct(shape.slice(1)) * (weights.at(-2) ?? 1),
  /** A vector is a matrix of one row or column, which the result lacks. */
  normalize(node, context) {
    const [a, b] = node.inputs.map((name) => typed(context, name)?.shape);
    if (!a || !b || a.length === 0 || b.length === 0 || (a.length > 1 && b.length > 1)) return [node];
    const nodes: Node[] = [];
    const withAxis = (input: string, axis: number): string => {
      const output = context.value(`${input}.matrix`);
      const axes = context.constant(`${output}.axes`, int64([axis]));
      const name = context.value(`${node.name}.matrix`);
      nodes.push({ name, op: unsqueeze.op, inputs: [input, axes], outputs: [output], attributes: {} });
      return output;
    };
    const inputs = [
      a.length === 1 ? withAxis(node.inputs[0], 0) : node.inputs[0],
      b.length === 1 ? withAxis(node.inputs[1], 1) : node.inputs[1],
    ];
    const product = context.value(`${node.outputs[0]}.matrix`);
    const left = [...(a.length === 1 ? [-2] : []), ...(b.length === 1 ? [-1] : [])];
    const axes = context.constant(`${product}.axes`, int64(left));
    const name = context.value(`${node.name}.vector`);
    return [
      ...nodes,
      { ...node, inputs, outputs: [product] },
      { name, op: squeeze.op, inputs: [product, axes], outputs: node.outputs, attributes: {} },
    ];
  },
  shape({ shape: left }, [b]) {
    const right = b?.shape ?? [];
    if (left.length === 0 || right.length === 0) {
      return `needs two matrices, has shapes [${left}] and [${right}]`;
    }
    const [aShape, bShape] = [
      left.length === 1 ? [1, ...left] : left,
      right.length === 1 ? [...right, 1] : right,
    ];
    if (!sameOrUnknown(aShape.at(-1)!, bShape.at(-2)!)) {
      return `inner dimensions differ: shapes [${left}] and [${right}]`;
    }
    if (bShape.includes(0)) return `weights have shape [${right}], where positive sizes are needed`;
    const leading = broadcastShapes(aShape.slice(0, -2), bShape.slice(0, -2));
    if (!leading) return `shapes [${left}] and [${right}] cannot be broadcast together`;
    return [
      ...leading,
      ...(left.length === 1 ? [] : left.slice(-2, -1)),
      ...(right.length === 1 ? [] : right.slice(-1)),
    ];
  },
  /** A third input is the bias of the columns that lowering joins to a product (program/prepare.ts). */
  evaluate({ inputs: [a, b, bias], shape, kernels = plainFloatKernels }) {
    if (!isFloats(a) || !isFloats(b) || (bias && !isFloats(bias))) return undefined;
    if (a.shape.length < 2 || b.shape.length < 2) return undefined;
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
