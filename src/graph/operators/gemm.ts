import { plainFloatKernels } from '../float-kernels.ts';
import type { Node } from '../graph.ts';
import { broadcastShapes, numericProduct, sameOrUnknown } from '../shapes.ts';
import { broadcastStrides, copyStrided } from '../strided.ts';
import { add } from './add.ts';
import { mul } from './mul.ts';
import { float32Scalar, typed, without } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float, int } from './signature.ts';
import { transpose } from './transpose.ts';

export const gemm = defineOperator({
  op: 'Gemm',
  inputs: [2, 3],
  attributes: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  role: 'computes',
  learned: [1, 2],
  macs: (_, weights) => numericProduct(weights),
  /** Rows that lie in columns are transposed first; a bias that differs from row to row is a sum of its own. */
  normalize(node, context) {
    const nodes: Node[] = [];
    const emit = (op: string, inputs: readonly string[], wanted: string, attributes = {}): string => {
      const output = wanted === node.outputs[0] ? wanted : context.value(wanted);
      nodes.push({ name: context.value(`${output}.${op}`), op, inputs, outputs: [output], attributes });
      return output;
    };
    const [a, b, bias = ''] = node.inputs;
    const isTransposed = this.number(node, 'transA') !== 0;
    const rows = isTransposed ? emit(transpose.op, [a], `${a}.rows`, { perm: [1, 0] }) : a;
    const plain = { ...node, inputs: [rows, ...node.inputs.slice(1)], attributes: without(node, 'transA') };
    const shape = typed(context, bias)?.shape;
    if (shape?.length !== 2 || shape[0] === 1) return [...nodes, plain];
    const product = context.value(`${node.outputs[0]}.product`);
    const beta = this.number(node, 'beta');
    nodes.push({ ...plain, inputs: [rows, b], outputs: [product], attributes: without(plain, 'beta') });
    const factor = beta === 1 ? undefined : context.constant(`${bias}.beta`, float32Scalar(beta));
    const scaled = factor === undefined ? bias : emit(mul.op, [bias, factor], `${bias}.scaled`);
    emit(add.op, [product, scaled], node.outputs[0]);
    return nodes;
  },
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
    }
    return [m, n];
  },
  /** The product, times alpha, plus beta times the bias: each rounded once to float32. */
  evaluate({ node, inputs: [a, b, c], shape, kernels = plainFloatKernels }) {
    if (!isFloats(a) || !isFloats(b) || (c && !isFloats(c))) return undefined;
    const [m, n] = shape;
    const [alpha, beta] = [this.number(node, 'alpha'), this.number(node, 'beta')].map(Math.fround);
    const transA = this.number(node, 'transA') !== 0;
    const transB = this.number(node, 'transB') !== 0;
    const k = a.shape[transA ? 0 : 1];
    const data = new Float32Array(m * n);
    kernels.multiply({
      ...{ m, n, k, b: b.data, bStrides: transB ? [1, k] : [n, 1], y: data },
      a: transA ? copyStrided(a.data, [m, k], [1, m]) : a.data,
    });
    if (alpha !== 1) for (const [i, sum] of data.entries()) data[i] = alpha * sum;
    if (!c) return { dtype: 'float32', shape, data };
    const [cRow, cColumn] = broadcastStrides(c.shape, shape);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) data[i * n + j] += Math.fround(beta * c.data[i * cRow + j * cColumn]);
    }
    return { dtype: 'float32', shape, data };
  },
});
