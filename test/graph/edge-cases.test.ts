/** Folding, passes and shapes at their edges, each against ONNX Runtime. */
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { slidingWindow } from '../../src/graph/geometry.ts';
import type { Attribute, Graph } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { createFloatGraph, type FloatGraphBuilder, randomInputs } from '../support/onnx-models.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';

const N = 2;

/** Float rounding only. */
const TOLERANCE = 2e-5;

async function expectSame(before: Graph, after: Graph): Promise<void> {
  const inputs = randomInputs(before, N, 7);
  const expected = await runOrt(before, inputs, N);
  const actual = await runOrt(after, inputs, N);
  for (const [name, { shape, data }] of expected) {
    expect(actual.get(name)!.shape, name).toEqual(shape);
    const difference = relativeDifference(actual.get(name)!.data as Float32Array, data as Float32Array);
    expect(difference, name).toBeLessThan(TOLERANCE);
  }
}

const read = (graph: Graph): Graph => decodeModel(encodeModel(graph));
const ops = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);

const integers = (b: Pick<FloatGraphBuilder, 'constant'>, ...values: readonly number[]): string =>
  b.constant(`integers ${values}`, [values.length], BigInt64Array.from(values, BigInt));

describe('constants are folded to what ONNX Runtime computes', () => {
  test('slices in both directions, from bounds before, at and beyond the ends', async () => {
    const b = createFloatGraph(1);
    const x = b.input('input', ['N', 1]);
    const list = b.constant('list', [6], Float32Array.of(1, 2, 3, 4, 5, 6));
    const sums: string[] = [];
    for (const step of [1, -1, -2]) {
      for (const start of [-8, -6, 0, 3, 5, 6, 9]) {
        for (const end of [-9, -2, 0, 6]) {
          const bounds = [start, end].map((bound) => integers(b, bound));
          const slice = b.node('Slice', [list, ...bounds, integers(b, 0), integers(b, step)]);
          sums.push(b.node('Add', [x, slice]));
        }
      }
    }
    const graph = b.finish(...sums);
    const folded = read(graph);
    expect(new Set(ops(folded))).toEqual(new Set(['Add']));
    await expectSame(graph, folded);
  });

  const quantized = (build: (b: QdqGraphBuilder) => string, shape: readonly number[]): Graph => {
    const b = createQdqGraph();
    const y = build(b);
    b.output(b.node('Add', [b.input('x', ['N', ...shape]), y]), ['N', ...shape]);
    return b.build();
  };

  test.each([0, 1, 2, -1])('quantized weights with a scale for each slice of axis %i', async (axis) => {
    const shape = [2, 3, 4];
    const count = shape.at(axis);
    const graph = quantized((b) => {
      // Beyond int8 on both sides, and everything between.
      const values = Float32Array.from({ length: 24 }, (_, i) => ((i * 7) % 24) * 30 - 345);
      const parameters = [
        b.constant(
          'scales',
          [count],
          Float32Array.from({ length: count }, (_, i) => 0.7 + i),
        ),
        b.constant(
          'zeros',
          [count],
          Int8Array.from({ length: count }, (_, i) => 3 * i - 5),
        ),
      ];
      const q = b.node('QuantizeLinear', [b.constant('w', shape, values), ...parameters], { axis });
      return b.node('DequantizeLinear', [q, ...parameters], { axis });
    }, shape);
    const folded = read(graph);
    expect(ops(folded)).toEqual(['DequantizeLinear', 'Add']);
    await expectSame(graph, folded);
  });

  test('quantized weights whose quotient is a tie in float32 only', async () => {
    const values = Float32Array.of(0.35, 0.75, -0.35, -0.75);
    const scale = Math.fround(0.1);
    expect(Array.from(values, (x) => Math.fround(x / scale))).toEqual([3.5, 7.5, -3.5, -7.5]);
    expect(Array.from(values, (x) => x / scale)).not.toContain(3.5);
    const graph = quantized(
      (b) => {
        const parameters = [
          b.constant('s', [], Float32Array.of(scale)),
          b.constant('z', [], Int8Array.of(0)),
        ];
        const q = b.node('QuantizeLinear', [b.constant('w', [4], values), ...parameters]);
        return b.node('DequantizeLinear', [q, ...parameters]);
      },
      [4],
    );
    const folded = read(graph);
    expect(ops(folded)).toEqual(['DequantizeLinear', 'Add']);
    await expectSame(graph, folded);
  });

  test('a Transpose without an order, a filling without a value', async () => {
    const b = createFloatGraph(2);
    const transposed = b.node('Transpose', [b.normal('w', [2, 3, 4])]);
    const filled = b.node('ConstantOfShape', [integers(b, 4, 3, 2)]);
    const sum = b.node('Add', [b.input('input', ['N', 4, 3, 2]), b.node('Add', [transposed, filled])]);
    const graph = b.finish(sum);
    const folded = read(graph);
    expect(ops(folded)).toEqual(['Add']);
    await expectSame(graph, folded);
  });

  test('rows of a matrix, picked by a Gather', async () => {
    const b = createFloatGraph(3);
    const rows = b.node('Gather', [b.normal('w', [3, 4]), integers(b, 2, 0)], { axis: 0 });
    const graph = b.finish(b.node('Add', [b.input('input', ['N', 2, 4]), rows]));
    await expectSame(graph, read(graph));
  });

  test('but not a division of sizes by zero', () => {
    const b = createFloatGraph(4);
    const target = b.node('Div', [integers(b, 1, 6), integers(b, 1, 0)]);
    const graph = b.finish(b.node('Reshape', [b.input('input', [1, 6]), target]));
    expect(ops(read(graph))).toEqual(['Div', 'Reshape']);
  });

  test('a Clip whose bounds are the wrong way round gives the upper one', async () => {
    const b = createFloatGraph(5);
    const clipped = b.clip(b.constant('w', [3], Float32Array.of(-9, 0, 9)), 2, -1);
    const graph = b.finish(b.node('Add', [b.input('input', ['N', 3]), clipped]));
    const folded = read(graph);
    expect(ops(folded)).toEqual(['Add']);
    await expectSame(graph, folded);
  });
});

describe('optimize leaves what ONNX Runtime computes', () => {
  type Build = (b: FloatGraphBuilder) => string;
  const image = (b: FloatGraphBuilder) => b.input('input', ['N', 3, 7, 7]);
  const pad = (b: FloatGraphBuilder, x: string, size: number, attributes = {}, ...value: string[]) =>
    b.node('Pad', [x, integers(b, 0, 0, size, size, 0, 0, size, size), ...value], attributes);
  const scalar = (b: FloatGraphBuilder, value: number) =>
    b.constant(`scalar ${value}`, [], Float32Array.of(value));

  test.each<[string, Build, RegExp]>([
    [
      'a pad as wide as the kernel of the max pool behind it',
      (b) => b.maxPool(pad(b, b.relu(image(b)), 2), { kernel: 2 }),
      /Pad,MaxPool/,
    ],
    [
      'a pad one narrower than that kernel',
      (b) => b.maxPool(pad(b, b.relu(image(b)), 1), { kernel: 2 }),
      /^Relu,MaxPool/,
    ],
    [
      'a pad before a max pool of values from −1',
      (b) => b.maxPool(pad(b, b.clip(image(b), -1, 1), 1), { kernel: 2 }),
      /Pad,MaxPool/,
    ],
    [
      'a pad before a max pool of values from 0',
      (b) => b.maxPool(pad(b, b.clip(image(b), 0, 1), 1), { kernel: 2 }),
      /^Clip,MaxPool/,
    ],
    [
      'a pad before an average pool with padding of its own, which does not count',
      (b) => b.averagePool(pad(b, image(b), 1), { kernel: 3, pads: 1 }),
      /Pad,AveragePool/,
    ],
    [
      'a pad before an average pool with padding of its own, which counts',
      (b) => b.averagePool(pad(b, image(b), 1), { kernel: 3, pads: 1, attributes: { count_include_pad: 1 } }),
      /^AveragePool/,
    ],
    [
      'a pad before an average pool that rounds up',
      (b) => b.averagePool(pad(b, image(b), 1), { kernel: 2, attributes: { ceil_mode: 1 } }),
      /Pad,AveragePool/,
    ],
    ['a pad of ones', (b) => b.conv(pad(b, image(b), 1, {}, scalar(b, 1)), 2), /Pad,Conv/],
    ['a pad that reflects', (b) => b.conv(pad(b, image(b), 1, { mode: 'reflect' }), 2), /Pad,Conv/],
    [
      'a pad of some sides only',
      (b) => b.relu(b.node('Pad', [image(b), integers(b, 0, 0, 1, 0, 0, 0, 0, 0)])),
      /Pad/,
    ],
    [
      'a factor along the width, where there are as many channels as columns',
      (b) => b.node('Mul', [b.conv(image(b), 7), b.normal('gain', [7])]),
      /Conv,Mul/,
    ],
    [
      'a constant divided by the result of a convolution',
      (b) => {
        const positive = b.node('Add', [b.relu(b.conv(image(b), 2)), scalar(b, 1)]);
        return b.node('Div', [scalar(b, 3), b.conv(positive, 2, { kernel: 1, bias: false })]);
      },
      /Div$/,
    ],
    [
      'a batch normalization of variances as small as its default epsilon',
      (b) => {
        const x = b.conv(image(b), 2);
        const parameters = ['gamma', 'beta', 'mean'].map((name) => b.normal(name, [2]));
        const variance = b.constant('variance', [2], Float32Array.of(1e-5, 1e-4));
        return b.node('BatchNormalization', [x, ...parameters, variance]);
      },
      /^Conv$/,
    ],
    [
      'a product with a transposed input',
      (b) => b.node('Gemm', [b.input('input', [4, 3]), b.normal('w', [4, 5])], { transA: 1 }),
      /^Gemm$/,
    ],
    [
      'a bias for each image',
      (b) => {
        const product = b.node('MatMul', [b.input('input', [4, 3]), b.normal('w', [3, 4])]);
        return b.node('Add', [product, b.normal('bias', [4, 1])]);
      },
      /Add$/,
    ],
  ])('%s', async (_, build, expected) => {
    const b = createFloatGraph(11);
    const graph = b.finish(build(b));
    const after = optimize(graph);
    expect(ops(after).join()).toMatch(expected);
    await expectSame(graph, after);
  });
});

describe('shapes are those of ONNX Runtime', () => {
  async function expectShape(build: (b: FloatGraphBuilder) => string, opset?: number): Promise<void> {
    const b = createFloatGraph(1, opset);
    const graph = b.finish(build(b));
    const [{ name, shape }] = read(graph).outputs;
    // The runtime is told nothing of the shape.
    const free = { name, dtype: 'float32' as const, shape: shape.map((_, axis) => `any ${axis}`) };
    const results = await runOrt(
      { ...graph, values: new Map(), outputs: [free] },
      randomInputs(graph, N, 1),
      N,
    );
    expect(shape.map((dim) => (dim === 'N' ? N : dim))).toEqual(results.get(name)!.shape);
  }

  test.each([0, 1, 3, 4, -1, -4])('Flatten at axis %i of 4', (axis) =>
    expectShape((b) => b.node('Flatten', [b.input('input', [N, 3, 4, 5])], { axis })),
  );

  test('Reshape to a size of 0, and a copied size', async () => {
    await expectShape((b) =>
      b.node('Reshape', [b.input('input', ['N', 3, 0]), integers(b, 0, 7)], { allowzero: 1 }),
    );
    await expectShape((b) => b.node('Reshape', [b.input('input', ['N', 3, 4]), integers(b, 0, 0, 2, 2)]));
  });

  test('Reshape that copies a dimension there is not', () => {
    const b = createFloatGraph(1);
    const y = b.node('Reshape', [b.input('input', [6, 1]), integers(b, 6, 1, 0)]);
    expect(() => b.finish(y)).toThrow(/copies dimension 2, which \[6,1\] lacks/);
  });

  test.each([
    [-1, -3],
    [0, 4],
  ])('Unsqueeze of axes %i and %i', (...axes) =>
    expectShape((b) => b.node('Unsqueeze', [b.input('input', ['N', 3, 4]), integers(b, ...axes)])),
  );

  test.each<Record<string, Attribute>>([
    { start: 1 },
    { start: -2 },
    { end: -1 },
    { start: 1, end: 3 },
    { start: -9, end: 9 },
  ])('Reshape to a part of a Shape: %j', (part) =>
    expectShape((b) => {
      const x = b.input('input', [2, 3, 4, 5]);
      const shape = b.node('Shape', [b.normal('like', [2, 3, 4, 5])], part);
      return b.node('Reshape', [x, b.node('Concat', [shape, integers(b, -1)], { axis: 0 })]);
    }),
  );

  test('a part of a Shape that ends before it starts is empty', () => {
    const b = createFloatGraph(1);
    const none = b.node('Shape', [b.input('input', ['N', 3, 4])], { start: 2, end: 1 });
    expect(inferShapes(b.finish(b.node('Cast', [none], { to: 1 }))).values.get(none)!.shape).toEqual([0]);
  });

  test('every second size of a Shape', () =>
    expectShape((b) => {
      const x = b.input('input', [2, 3, 4, 5]);
      const bounds = [0, 9, 0, 2].map((bound) => integers(b, bound));
      const sizes = b.node('Slice', [b.node('Shape', [x]), ...bounds]);
      return b.node('Reshape', [x, b.node('Concat', [sizes, integers(b, -1)], { axis: 0 })]);
    }));

  test.each([true, false])(
    'a symbolic size beside a number is that number: symbol first %j',
    async (first) => {
      const operands = (b: FloatGraphBuilder) => [b.input('input', ['N', 3]), b.normal('w', [N, 3])];
      const multiply = (b: FloatGraphBuilder) => b.node('Mul', first ? operands(b) : operands(b).reverse());
      await expectShape(multiply);
      const b = createFloatGraph(1);
      expect(b.shape(multiply(b))).toEqual([N, 3]);
    },
  );

  test('an uneven Split by a number of parts, of which the last is smaller', () =>
    expectShape((b) => {
      const x = b.input('input', ['N', 5]);
      const graph = b.finish(x);
      const split = { name: 'split', op: 'Split', inputs: [x], outputs: ['first', 'last'] };
      (graph.nodes as unknown[]).push({ ...split, attributes: { axis: 1, num_outputs: 2 } });
      return b.node('Relu', ['first']);
    }, 18));

  test.each([1, 2, 3])('SAME padding where the stride is not smaller than the kernel of %i', (kernel) =>
    expectShape((b) =>
      b.node('Conv', [b.input('input', ['N', 2, 6, 7]), b.normal('w', [3, 2, kernel, kernel])], {
        strides: [3, 3],
        auto_pad: 'SAME_UPPER',
      }),
    ),
  );

  test('SAME padding is never negative', () => {
    const attributes = { kernel_shape: [1, 1], strides: [3, 3], auto_pad: 'SAME_UPPER' };
    const node = { name: 'pool', op: 'MaxPool', inputs: ['x'], outputs: ['y'], attributes };
    expect(slidingWindow(node, [6, 8])).toMatchObject({ pads: [0, 0, 0, 0], outputSize: [2, 3] });
  });

  test.each([3, 4, 5, 6, 7])('a pool that rounds up, over %i pixels with a stride of 3', (size) =>
    expectShape((b) =>
      b.node('MaxPool', [b.input('input', ['N', 2, size, size + 1])], {
        kernel_shape: [2, 2],
        strides: [3, 3],
        pads: [1, 0, 1, 1],
        ceil_mode: 1,
      }),
    ),
  );

  test.each<[string, (b: FloatGraphBuilder) => string, RegExp]>([
    [
      'an axis as large as the rank',
      (b) => {
        const x = b.input('input', ['N', 3]);
        return b.node('Concat', [x, x], { axis: 2 });
      },
      /axis 2 is outside/,
    ],
    [
      'groups that do not divide the output channels',
      (b) => b.node('Conv', [b.input('input', ['N', 4, 5, 5]), b.normal('w', [3, 2, 1, 1])], { group: 2 }),
      /group is 2, which does not divide the 3 output channels/,
    ],
    [
      'a kernel larger than the image',
      (b) => b.maxPool(b.input('input', ['N', 3, 4, 4]), { kernel: 5 }),
      /larger than the padded image/,
    ],
  ])('and refused: %s', (_, build, reason) => {
    const b = createFloatGraph(1);
    const refuse = () => b.finish(build(b));
    expect(refuse).toThrow(ModelError);
    expect(refuse).toThrow(reason);
  });

  test('a kernel as large as the image is not refused', () =>
    expectShape((b) => b.maxPool(b.input('input', ['N', 3, 4, 4]), { kernel: 4 })));

  test('a Split with a part of nothing is refused', () => {
    const b = createFloatGraph(1);
    const graph = b.finish(b.input('input', ['N', 3]));
    const split = { name: 'split', op: 'Split', inputs: ['input', 'sizes'], outputs: ['a', 'b'] };
    const constants = new Map(graph.constants);
    constants.set('sizes', { name: 'sizes', dtype: 'int64', shape: [2], data: BigInt64Array.of(3n, 0n) });
    const nodes = [{ ...split, attributes: { axis: 1 } }];
    expect(() => inferShapes({ ...graph, constants, nodes, outputs: [] })).toThrow(/2 parts of \[3,0\]/);
  });
});
