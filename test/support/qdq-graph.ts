/** Builds QDQ graphs by hand, in the shapes that quantizers write, for tests of lowering. */
import { hostOperators } from '../../src/graph/operators/host-registry.ts';
import type { Attribute, DType, Graph, Node, Tensor, TensorData } from '../../src/graph/graph.ts';

export interface QdqGraphBuilder {
  input(name: string, shape: readonly (number | string)[], dtype?: DType): string;
  constant(name: string, shape: readonly number[], data: TensorData): string;
  node(op: string, inputs: readonly string[], attributes?: Record<string, Attribute>): string;
  /** A node of several results. */
  parts(
    op: string,
    count: number,
    inputs: readonly string[],
    attributes: Record<string, Attribute>,
  ): string[];
  /** QuantizeLinear and DequantizeLinear. @returns the float value behind them */
  qdq(value: string, scale: number, zeroPoint: number, dtype?: 'int8' | 'uint8'): string;
  /** An integer constant behind a DequantizeLinear. */
  dq(
    shape: readonly number[],
    data: Int8Array | Uint8Array | Int32Array,
    scale: number | readonly number[],
    options?: { readonly zeroPoint?: readonly number[]; readonly axis?: number },
  ): string;
  output(name: string, shape: readonly (number | string)[], dtype?: DType): void;
  build(): Graph;
}

const DTYPES: Record<string, DType> = {
  Float32Array: 'float32',
  Int8Array: 'int8',
  Int16Array: 'int16',
  Uint8Array: 'uint8',
  Int32Array: 'int32',
  BigInt64Array: 'int64',
};

export function createQdqGraph(): QdqGraphBuilder {
  const inputs: Graph['inputs'][number][] = [];
  const outputs: Graph['outputs'][number][] = [];
  const nodes: Node[] = [];
  const constants = new Map<string, Tensor>();
  let count = 0;
  const unique = (wanted: string) => `${wanted}_${count++}`;
  const constant: QdqGraphBuilder['constant'] = (name, shape, data) => {
    constants.set(name, { name, dtype: DTYPES[data.constructor.name], shape, data });
    return name;
  };
  const node: QdqGraphBuilder['node'] = (op, from, attributes = {}) => {
    const name = unique(op);
    nodes.push({ name, op, inputs: from, outputs: [`${name}_out`], attributes });
    return `${name}_out`;
  };
  return {
    input(name, shape, dtype = 'float32') {
      inputs.push({ name, dtype, shape });
      return name;
    },
    constant,
    node,
    parts(op, count, from, attributes) {
      const name = unique(op);
      const results = Array.from({ length: count }, (_, i) => `${name}_out${i}`);
      nodes.push({ name, op, inputs: from, outputs: results, attributes });
      return results;
    },
    qdq(value, scale, zeroPoint, dtype = 'int8') {
      const parameters = [
        constant(unique('scale'), [], Float32Array.of(scale)),
        constant(unique('zero'), [], dtype === 'int8' ? Int8Array.of(zeroPoint) : Uint8Array.of(zeroPoint)),
      ];
      return node('DequantizeLinear', [node('QuantizeLinear', [value, ...parameters]), ...parameters]);
    },
    dq(shape, data, scale, { zeroPoint, axis = 0 } = {}) {
      const scales = typeof scale === 'number' ? [scale] : scale;
      const parameterShape = typeof scale === 'number' ? [] : [scales.length];
      const names = [
        constant(unique('constant'), shape, data),
        constant(unique('scale'), parameterShape, Float32Array.from(scales)),
      ];
      if (zeroPoint) {
        const zeros = data instanceof Uint8Array ? Uint8Array.from(zeroPoint) : Int8Array.from(zeroPoint);
        names.push(constant(unique('zero'), parameterShape, zeros));
      }
      return node('DequantizeLinear', names, { axis });
    },
    output(name, shape, dtype = 'float32') {
      outputs.push({ name, dtype, shape });
    },
    build: () => ({
      name: 'test',
      opset: 21,
      inputs,
      outputs,
      nodes,
      constants,
      values: new Map(),
      metadata: new Map(),
      operators: new Map(
        hostOperators.filter(({ op }) => nodes.some((each) => each.op === op)).map((row) => [row.op, row]),
      ),
    }),
  };
}
