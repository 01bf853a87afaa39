/** Products of float32 matrices, the heavy part of reconstruction, by ONNX Runtime: SIMD and threads in Node and in the page. */
import type { Graph } from '../graph/graph.ts';
import { gemm } from '../graph/operators/gemm.ts';
import { openGraphSession, type OnnxRuntimeOptions } from './onnx-runtime.ts';

/** All matrices are row-major and without gaps. */
export interface MatrixProduct {
  /** `a · b`: [m, k] times [k, n] gives [m, n]. */
  multiply(a: Float32Array, b: Float32Array, m: number, k: number, n: number): Promise<Float32Array>;
  /** `a · bᵀ`: [m, k] times [n, k] transposed gives [m, n]. */
  multiplyTransposed(
    a: Float32Array,
    b: Float32Array,
    m: number,
    k: number,
    n: number,
  ): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** @throws {OctetError} where onnxruntime-web is not installed */
export async function openMatrixProduct(runtime: OnnxRuntimeOptions): Promise<MatrixProduct> {
  const plain = await openGraphSession(productGraph(0), ['y'], runtime);
  const transposed = await openGraphSession(productGraph(1), ['y'], runtime);
  return {
    async multiply(a, b, m, k, n) {
      const inputs = { a: { data: a, shape: [m, k] }, b: { data: b, shape: [k, n] } };
      return (await plain.run(new Map(Object.entries(inputs)))).get('y')!.data;
    },
    async multiplyTransposed(a, b, m, k, n) {
      const inputs = { a: { data: a, shape: [m, k] }, b: { data: b, shape: [n, k] } };
      return (await transposed.run(new Map(Object.entries(inputs)))).get('y')!.data;
    },
    async dispose() {
      await plain.dispose();
      await transposed.dispose();
    },
  };
}

function productGraph(transB: 0 | 1): Graph {
  const matrix = (name: string, ...shape: string[]) => ({ name, dtype: 'float32' as const, shape });
  const b = transB === 1 ? matrix('b', 'n', 'k') : matrix('b', 'k', 'n');
  return {
    name: 'product',
    opset: 13,
    inputs: [matrix('a', 'm', 'k'), b],
    outputs: [matrix('y', 'm', 'n')],
    nodes: [{ name: 'product', op: gemm.op, inputs: ['a', 'b'], outputs: ['y'], attributes: { transB } }],
    constants: new Map(),
    values: new Map(),
    metadata: new Map(),
  };
}
