/** The value that rows give of nodes in float32, against ONNX Runtime. */
import { describe, expect, it } from 'vitest';
import { constantNumbers } from '../../src/graph/attributes.ts';
import type { Attribute } from '../../src/graph/graph.ts';
import { operatorOf } from '../../src/graph/operators/registry.ts';
import type { Value } from '../../src/graph/operators/operator.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';

interface Case {
  readonly op: string;
  /** Default: the builder's. */
  readonly opset?: number;
  /** Shapes of the inputs. */
  readonly inputs: readonly (readonly number[])[];
  /** Data of inputs that are constants; what is missing is random. */
  readonly lists?: Readonly<Record<number, readonly number[]>>;
  /** Inputs that are above 0. */
  readonly positive?: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const x = [2, 4, 7, 6];
const cases: readonly Case[] = [
  { op: 'Conv', inputs: [x, [6, 4, 3, 3], [6]] },
  { op: 'Conv', inputs: [x, [6, 2, 3, 2]], attributes: { group: 2, pads: [1, 2, 0, 1], strides: [2, 1] } },
  {
    op: 'Conv',
    inputs: [x, [4, 1, 2, 3], [4]],
    attributes: { group: 4, dilations: [3, 2], pads: [2, 2, 2, 2] },
  },
  { op: 'Conv', inputs: [x, [3, 4, 3, 3]], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } },
  { op: 'Gemm', inputs: [[3, 5], [5, 4], [4]] },
  {
    op: 'Gemm',
    inputs: [
      [5, 3],
      [4, 5],
    ],
    attributes: { transA: 1, transB: 1, alpha: 0.3 },
  },
  {
    op: 'Gemm',
    inputs: [
      [3, 5],
      [4, 5],
      [1, 4],
    ],
    attributes: { transB: 1, beta: 0.7 },
  },
  {
    op: 'MatMul',
    inputs: [
      [3, 5],
      [5, 4],
    ],
  },
  {
    op: 'MatMul',
    inputs: [
      [2, 3, 4, 5],
      [3, 5, 2],
    ],
  },
  {
    op: 'MatMul',
    inputs: [
      [2, 1, 4, 5],
      [3, 5, 2],
    ],
  },
  { op: 'MaxPool', inputs: [x], attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] } },
  {
    op: 'MaxPool',
    inputs: [x],
    attributes: { kernel_shape: [2, 2], strides: [2, 4], ceil_mode: 1, dilations: [2, 1] },
  },
  {
    op: 'AveragePool',
    inputs: [x],
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  {
    op: 'AveragePool',
    inputs: [x],
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 0, 1], strides: [2, 1], count_include_pad: 1 },
  },
  { op: 'AveragePool', inputs: [x], attributes: { kernel_shape: [2, 2], strides: [2, 4], ceil_mode: 1 } },
  { op: 'GlobalAveragePool', inputs: [x] },
  { op: 'GlobalMaxPool', inputs: [x] },
  { op: 'BatchNormalization', inputs: [x, [4], [4], [4], [4]], positive: [4], attributes: { epsilon: 0.01 } },
  { op: 'Softmax', inputs: [x], attributes: { axis: 1 } },
  { op: 'Softmax', inputs: [x], attributes: { axis: -1 } },
  { op: 'Softmax', inputs: [x], attributes: { axis: 0 } },
  { op: 'Pad', inputs: [x, [8], []], lists: { 1: [0, 0, 1, 2, 0, 1, 0, 3], 2: [1.5] } },
  { op: 'Pad', inputs: [x, [8]], lists: { 1: [0, 1, -1, 2, 0, 0, 2, -2] } },
  { op: 'Pad', inputs: [x, [8]], lists: { 1: [0, 1, 3, 2, 0, 2, 4, 5] }, attributes: { mode: 'reflect' } },
  { op: 'Pad', inputs: [x, [8]], lists: { 1: [0, 1, 3, 9, 0, 2, 4, 5] }, attributes: { mode: 'edge' } },
  { op: 'ReduceMean', inputs: [x], attributes: { axes: [2, 3] } },
  { op: 'ReduceMean', inputs: [x], attributes: { axes: [-1, 1], keepdims: 0 } },
  { op: 'ReduceMean', inputs: [x] },
  { op: 'Transpose', inputs: [x], attributes: { perm: [0, 3, 1, 2] } },
  ...[
    { mode: 'linear' },
    { mode: 'cubic' },
    { mode: 'cubic', exclude_outside: 1, coordinate_transformation_mode: 'align_corners' },
  ].map((attributes) => ({
    ...{ op: 'Resize', opset: 18, inputs: [x, [0], [0], [4]], lists: { 3: [2, 4, 3, 5] } },
    attributes: { antialias: 1, ...attributes },
  })),
  { op: 'Concat', inputs: [x, [2, 1, 7, 6]], attributes: { axis: 1 } },
  { op: 'Add', inputs: [x, [4, 1, 1]] },
  { op: 'Sub', inputs: [[4, 1, 1], x] },
  { op: 'Mul', inputs: [x, [6]] },
  { op: 'Div', inputs: [x, x], positive: [1] },
  { op: 'Max', inputs: [x, [7, 1]] },
  { op: 'Sigmoid', inputs: [x] },
  { op: 'Tanh', inputs: [x] },
  { op: 'Erf', inputs: [x] },
  { op: 'Exp', inputs: [x] },
  { op: 'Log', inputs: [x], positive: [0] },
  { op: 'Sqrt', inputs: [x], positive: [0] },
  { op: 'HardSwish', inputs: [x] },
  { op: 'LeakyRelu', inputs: [x] },
  { op: 'PRelu', inputs: [x, [4, 1, 1]] },
  { op: 'Clip', inputs: [x, [], []], lists: { 1: [-0.5], 2: [0.7] } },
];

describe.each(cases)('$op of $inputs with $attributes', (each) => {
  it('agrees with ONNX Runtime', async () => {
    const { value, inputs, graph } = evaluated(each);
    const [info] = graph.outputs;
    const expected = (await runOrt(graph, inputs, each.inputs[0][0])).get(info.name)!;
    expect(value.shape).toEqual(expected.shape);
    expect(value.data).toBeInstanceOf(Float32Array);
    expect(relativeDifference(value.data as Float32Array, expected.data as Float32Array)).toBeLessThan(2e-6);
  });
});

it('is the same each time, and adds in order, each sum rounded', () => {
  const [conv] = cases;
  expect(evaluated(conv).value.data).toEqual(evaluated(conv).value.data);
  // 2⁻²⁴ + 2⁻²⁴ + 1 is more than 1, and 1 + 2⁻²⁴ + 2⁻²⁴ loses both halves in float32.
  const halves = (...list: readonly number[]) => ({
    op: 'MatMul',
    inputs: [
      [1, 3],
      [3, 1],
    ],
    lists: { 0: list, 1: [1, 1, 1] },
  });
  const half = 2 ** -24;
  expect(evaluated(halves(half, half, 1)).value.data).toEqual(Float32Array.of(1 + 2 ** -23));
  expect(evaluated(halves(1, half, half)).value.data).toEqual(Float32Array.of(1));
});

function evaluated({ op, opset, inputs: shapes, lists = {}, positive = [], attributes = {} }: Case) {
  const builder = createFloatGraph(7);
  const inputs = new Map<string, Float32Array>();
  const names = shapes.map((shape, index) => {
    const name = `input ${index}`;
    const list = lists[index];
    if (list) {
      const isSizes = (op === 'Pad' && index === 1) || (op === 'Resize' && index === 3);
      const data = isSizes ? BigInt64Array.from(list, BigInt) : Float32Array.from(list);
      return builder.constant(name, shape, data);
    }
    const length = shape.reduce((product, size) => product * size, 1);
    const data = Float32Array.from({ length }, () => (builder.random.next() - 0.5) * 4);
    if (positive.includes(index)) for (let i = 0; i < length; i++) data[i] = Math.abs(data[i]) + 0.1;
    if (index > 0) return builder.constant(name, shape, data);
    inputs.set(name, data);
    return builder.input(name, shape);
  });
  const built = builder.finish(builder.node(op, names, attributes));
  const graph = { ...built, opset: opset ?? built.opset };
  const [node] = graph.nodes;
  const values = names.map((name, index): Value => {
    return graph.constants.get(name) ?? { dtype: 'float32', shape: shapes[index], data: inputs.get(name)! };
  });
  const [{ dtype, shape }] = graph.outputs;
  const value = operatorOf(graph, node)?.evaluate?.({
    node,
    inputs: values,
    dtype,
    shape: shape as number[],
    numbers: (name) =>
      constantNumbers(graph, name) ?? Array.from(graph.constants.get(name)?.data ?? [], Number),
  });
  if (!value) throw new Error(`${op} has no value`);
  return { value, inputs, graph };
}
