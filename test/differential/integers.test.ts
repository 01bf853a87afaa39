/** Products of activations, softmax and reductions: in integers, in agreement with ONNX Runtime on the reference and wasm. */
import { describe, expect, it } from 'vitest';
import type { Attribute } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { Problems } from '../../src/graph/problems.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import { differential } from '../support/differential.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(6);
const BATCH = 3;

/** @param kinds of operations that the program must have; none of it may run on the host */
async function expectIntegers(
  kinds: readonly string[],
  build: (b: QdqGraphBuilder) => void,
  batch = BATCH,
): Promise<void> {
  const b = createQdqGraph();
  build(b);
  const graph = b.build();
  const verdict = await differential(graph, randomInputs(graph, batch, 5), batch);
  expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
  const { operations } = lower(inferShapes(graph, new Problems()), builtinOperators, { host: false });
  expect(operations.map(({ kind }) => kind)).toEqual(expect.arrayContaining([...kinds]));
}

const input = (b: QdqGraphBuilder, name: string, shape: readonly number[], zeroPoint = 3) =>
  b.qdq(b.input(name, ['N', ...shape]), 0.02, zeroPoint);
const uint8Input = (b: QdqGraphBuilder, name: string, shape: readonly number[]) =>
  b.qdq(b.input(name, ['N', ...shape]), 0.02, 130, 'uint8');
const list = (b: QdqGraphBuilder, ...values: readonly number[]) =>
  b.constant(`list ${values.join()}`, [values.length], BigInt64Array.from(values, BigInt));

describe('a product of two activations', () => {
  it.each([
    ['matrices', [5, 7], [7, 6], [5, 6]],
    ['matrices of several heads', [3, 5, 8], [3, 8, 4], [3, 5, 4]],
    ['a row', [2, 1, 9], [2, 9, 3], [2, 1, 3]],
    ['five axes', [2, 3, 4, 5], [2, 3, 5, 6], [2, 3, 4, 6]],
    ['one matrix for all heads', [3, 5, 8], [1, 8, 4], [3, 5, 4]],
    ['heads that broadcast both ways', [2, 1, 4, 5], [1, 3, 5, 6], [2, 3, 4, 6]],
  ])('of %s', (_, a, other, shape) =>
    expectIntegers(['matMul'], (b) => {
      const y = b.node('MatMul', [input(b, 'a', a), uint8Input(b, 'b', other)]);
      b.output(b.qdq(y, 0.04, -7), ['N', ...shape]);
    }),
  );

  it('keeps its accumulators where nothing quantizes them', () =>
    expectIntegers(['matMul'], (b) => {
      const y = b.node('MatMul', [input(b, 'a', [2, 5, 7]), input(b, 'b', [2, 7, 3], -100)]);
      b.output(y, ['N', 2, 5, 3]);
    }));

  it('is clamped where a Relu stands behind it', () =>
    expectIntegers(['matMul'], (b) => {
      const y = b.node('MatMul', [input(b, 'a', [5, 7]), input(b, 'b', [7, 3], -100)]);
      b.output(b.qdq(b.node('Relu', [y]), 0.02, -128), ['N', 5, 3]);
    }));

  it('with constants of several heads, or on the left', () =>
    expectIntegers(['matMul', 'constant'], (b) => {
      const heads = b.dq([3, 7, 4], random.int8s(84), 0.01, { zeroPoint: [5] });
      const y = b.qdq(b.node('MatMul', [input(b, 'a', [3, 5, 7]), heads]), 0.04, 0);
      const left = b.dq([6, 5], Uint8Array.from(random.int8s(30)), 0.01, { zeroPoint: [120] });
      b.output(b.qdq(b.node('MatMul', [left, y]), 0.06, 2), ['N', 3, 6, 4]);
    }));

  it.each([
    [
      [6, 5],
      [5, 7],
    ],
    [
      [3, 4, 5],
      [5, 7],
    ],
    [
      [2, 3, 4, 5],
      [5, 1],
    ],
    [
      [1, 1, 5],
      [5, 7],
    ],
  ])('of rows [%j] and constants [%j], with and without a bias', (rows, weights) =>
    expectIntegers(['conv2d'], (b) => {
      const x = input(b, 'x', rows);
      const w = b.dq(
        weights,
        random.int8s(weights[0] * weights[1]),
        Array.from({ length: weights[1] }, (_, c) => 0.01 + 0.003 * c),
        { axis: 1 },
      );
      const shape = ['N', ...rows.with(-1, weights[1])];
      b.output(b.qdq(b.node('MatMul', [x, w]), 0.1, 5), shape);
      const bias = b.dq([weights[1]], Int32Array.from(random.int8s(weights[1])), 0.0002);
      b.output(b.qdq(b.node('Add', [b.node('MatMul', [x, w]), bias]), 0.1, 5), shape);
      b.output(b.node('MatMul', [x, w]), shape);
    }),
  );

  it('of rows and constants with a scale for each input, and a bias: on the host', async () => {
    const b = createQdqGraph();
    const w = b.dq(
      [5, 7],
      random.int8s(35),
      Array.from({ length: 5 }, (_, k) => 0.01 + 0.003 * k),
      { axis: 0 },
    );
    const bias = b.dq([7], Int32Array.from(random.int8s(7)), 0.0002);
    const y = b.node('Add', [b.node('MatMul', [input(b, 'x', [3, 4, 5]), w]), bias]);
    b.output(b.qdq(y, 0.1, 5), ['N', 3, 4, 7]);
    const verdict = await differential(b.build(), randomInputs(b.build(), BATCH, 5), BATCH);
    expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
  });

  it('of a tensor and itself, transposed', () =>
    expectIntegers(['matMul', 'move'], (b) => {
      const x = input(b, 'a', [6, 4, 5]);
      const flat = b.qdq(b.node('Reshape', [x, list(b, 0, 6, 20)]), 0.02, 3);
      const turned = b.qdq(b.node('Transpose', [flat], { perm: [0, 2, 1] }), 0.02, 3);
      b.output(b.qdq(b.node('MatMul', [flat, turned]), 0.1, 0), ['N', 6, 6]);
    }));
});

describe('softmax', () => {
  it.each([
    [1, [10, 4, 5]],
    [2, [4, 10, 5]],
    [-1, [4, 5, 10]],
    [2, [3, 4, 5, 6]],
    [-1, [40]],
  ] as const)('over axis %i of [%j]', (axis, shape) =>
    expectIntegers(['softmax'], (b) => {
      const y = b.node('Softmax', [input(b, 'x', shape)], { axis });
      b.output(b.qdq(b.node('Sigmoid', [b.qdq(y, 1 / 256, -128)]), 1 / 200, -10), ['N', ...shape]);
    }),
  );

  it.each([1 / 255, 0.01, 0.3])('with a scale of %d behind it, clamped', (scale) =>
    expectIntegers(['softmax'], (b) => {
      const y = b.node('Clip', [
        b.node('Softmax', [input(b, 'x', [6, 5])]),
        b.constant('lo', [], Float32Array.of(0.1)),
        b.constant('hi', [], Float32Array.of(0.7)),
      ]);
      b.output(b.qdq(b.node('Exp', [b.qdq(y, scale, 0, 'uint8')]), 0.01, 0, 'uint8'), ['N', 6, 5]);
    }),
  );

  it('as the weights of attention', () =>
    expectIntegers(['matMul', 'softmax'], (b) => {
      const heads = (name: string, perm: readonly number[]) => {
        const split = b.node('Reshape', [input(b, name, [6, 12]), list(b, 0, 6, 3, 4)]);
        return b.qdq(b.node('Transpose', [b.qdq(split, 0.02, 3)], { perm: [...perm] }), 0.02, 3);
      };
      const scores = b.qdq(b.node('MatMul', [heads('q', [0, 2, 1, 3]), heads('k', [0, 2, 3, 1])]), 0.05, 0);
      const scaled = b.node('Mul', [scores, b.constant('scale', [], Float32Array.of(0.5))]);
      const weights = b.qdq(b.node('Softmax', [b.qdq(scaled, 0.03, 0)]), 1 / 255, 0, 'uint8');
      const y = b.qdq(b.node('MatMul', [weights, heads('v', [0, 2, 1, 3])]), 0.02, 3);
      const joined = b.node('Transpose', [y], { perm: [0, 2, 1, 3] });
      b.output(b.qdq(b.node('Reshape', [joined, list(b, 0, 6, 12)]), 0.02, 3), ['N', 6, 12]);
    }));
});

describe('a log softmax', () => {
  it.each([
    [1, [10, 4, 5]],
    [2, [4, 10, 5]],
    [-1, [4, 5, 10]],
  ] as const)('over axis %i of [%j]', (axis, shape) =>
    expectIntegers(['logSoftmax'], (b) => {
      const y = b.qdq(b.node('LogSoftmax', [input(b, 'x', shape)], { axis }), 0.03, 120);
      b.output(b.qdq(b.node('Exp', [y]), 1 / 256, -128), ['N', ...shape]);
    }),
  );

  it('at the end, clamped', () =>
    expectIntegers(['logSoftmax'], (b) => {
      const y = b.node('LogSoftmax', [input(b, 'x', [20])]);
      const bounds = [-4, -0.5].map((bound) => b.constant(`${bound}`, [], Float32Array.of(bound)));
      b.output(b.qdq(b.node('Clip', [y, ...bounds]), 0.02, 255, 'uint8'), ['N', 20]);
    }));
});

it.each(['ConstantOfShape', 'Expand'])(
  'a value that %s repeats for the batch joins it as one element',
  async (op) => {
    const b = createQdqGraph();
    const x = input(b, 'x', [6, 4, 5]);
    const size = b.node('Shape', [x]);
    const zero = b.constant('zero', [1], Float32Array.of(0));
    const zeros = b.qdq(b.node(op, op === 'Expand' ? [zero, size] : [size]), 0.02, 3);
    const isLarge = b.node('Greater', [x, b.constant('threshold', [], Float32Array.of(0.2))]);
    b.output(b.qdq(b.node('Where', [isLarge, x, zeros]), 0.02, 3), ['N', 6, 4, 5]);
    b.output(b.qdq(b.node('Max', [x, zeros]), 0.02, 3), ['N', 6, 4, 5]);
    const graph = b.build();
    const verdict = await differential(graph, randomInputs(graph, BATCH, 5), BATCH);
    expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
  },
);

describe('a normalization', () => {
  const reals = (b: QdqGraphBuilder, name: string, shape: readonly number[], largest = 1) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return b.constant(
      name,
      shape,
      Float32Array.from(random.int8s(length), (q) => (largest * q) / 128),
    );
  };
  const normalized = (
    op: string,
    shape: readonly number[],
    parameters: readonly number[],
    attributes: Record<string, Attribute>,
  ) =>
    expectIntegers(['normalize'], (b) => {
      const names = op.startsWith('Lp') ? [] : op.startsWith('RMS') ? ['scale'] : ['scale', 'bias'];
      const constants = names.map((name) => reals(b, name, parameters));
      const y = b.node(op, [input(b, 'x', shape), ...constants], attributes);
      b.output(b.qdq(y, 0.02, 5), ['N', ...shape]);
    });

  it.each([
    [[6, 20], [20], -1],
    [[4, 5, 30], [30], 3],
    [[4, 5, 6], [5, 6], 2],
    [[4, 5, 6], [4, 5, 6], 1],
    [[4, 5, 6], [1, 6], -2],
  ] as const)('of the layer [%j] with parameters [%j] from axis %i on', (shape, parameters, axis) =>
    normalized('LayerNormalization', shape, parameters, { axis, epsilon: 1e-5 }),
  );

  it.each([
    [[6, 8, 5], [6]],
    [[3, 40], [3]],
  ])('of instances [%j]', (shape, parameters) => normalized('InstanceNormalization', shape, parameters, {}));

  it('of groups', () => normalized('GroupNormalization', [12, 8, 5], [12], { num_groups: 3 }));

  it.each([1, 2, -1])('by the norm along axis %i', (axis) =>
    normalized('LpNormalization', [6, 8, 5], [], { axis, p: 2 }),
  );

  it('between a convolution and a transpose, in the order of channels last', () =>
    expectIntegers(['conv2d', 'normalize'], (b) => {
      const weights = b.dq([16, 6, 3, 3], random.int8s(864), 0.01);
      const y = b.qdq(b.node('Conv', [input(b, 'x', [6, 4, 5]), weights], { pads: [1, 1, 1, 1] }), 0.03, -7);
      const last = b.qdq(b.node('Transpose', [y], { perm: [0, 2, 3, 1] }), 0.03, -7);
      const parameters = [reals(b, 'scale', [16], 2), reals(b, 'bias', [16])];
      const z = b.qdq(b.node('LayerNormalization', [last, ...parameters], { epsilon: 1e-6 }), 0.03, 0);
      b.output(b.qdq(b.node('Transpose', [z], { perm: [0, 3, 1, 2] }), 0.03, 0), ['N', 16, 4, 5]);
    }));
});

describe('the index of an extreme', () => {
  it.each([
    ['ArgMax', 1, 1, 0, [1, 4, 5]],
    ['ArgMax', -1, 0, 1, [6, 4]],
    ['ArgMin', 2, 0, 0, [6, 5]],
    ['ArgMin', 1, 1, 1, [1, 4, 5]],
  ] as const)('%s over axis %i, keepdims %i, select_last_index %i', (op, axis, keepdims, last, shape) =>
    expectIntegers(['argMax'], (b) => {
      const attributes = { axis, keepdims, select_last_index: last };
      b.output(b.node(op, [input(b, 'x', [6, 4, 5])], attributes), ['N', ...shape], 'int64');
    }),
  );

  it('is read by what stands behind it, on the host', async () => {
    const b = createQdqGraph();
    const index = b.node('ArgMax', [input(b, 'x', [6, 4, 5])], { axis: 1, keepdims: 0 });
    b.output(b.node('Equal', [index, list(b, 2)]), ['N', 4, 5], 'bool');
    b.output(b.node('Reshape', [index, list(b, 0, 20)]), ['N', 20], 'int64');
    const graph = b.build();
    const verdict = await differential(graph, randomInputs(graph, BATCH, 5), BATCH);
    expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
  });
});

describe('a reduction', () => {
  const reduced = (b: QdqGraphBuilder, op: string, x: string, axes: readonly number[], keepdims = 1) =>
    b.node(op, [x, list(b, ...axes)], { keepdims });

  it.each([
    ['ReduceSum', 0.2],
    ['ReduceMean', 0.01],
    ['ReduceMax', 0.02],
    ['ReduceMin', 0.015],
    ['ReduceL1', 0.2],
    ['ReduceL2', 0.04],
    ['ReduceSumSquare', 0.03],
  ])('%s over channels, rows, pixels and all of an image', (op, scale) =>
    expectIntegers(['reduce'], (b) => {
      const x = input(b, 'x', [6, 4, 5]);
      b.output(b.qdq(reduced(b, op, x, [1]), scale, -7), ['N', 1, 4, 5]);
      b.output(b.qdq(reduced(b, op, x, [-2], 0), scale, -7), ['N', 6, 5]);
      b.output(b.qdq(reduced(b, op, x, [3, 2], 0), 2 * scale, 20, 'uint8'), ['N', 6]);
      b.output(b.qdq(reduced(b, op, x, [1, 2, 3]), 2 * scale, -9), ['N', 1, 1, 1]);
    }),
  );

  it.each([
    [[1, 3], [5, 7], 0],
    [[2, 4], [3, 1, 6, 1], 1],
    [[1, 4], [1, 5, 6, 1], 1],
    [[2], [3, 6, 7], 0],
  ])('over axes %j of five', (axes, shape, keepdims) =>
    expectIntegers(['reduce'], (b) => {
      const x = input(b, 'x', [3, 5, 6, 7]);
      b.output(b.qdq(reduced(b, 'ReduceMean', x, axes, keepdims), 0.01, 4), ['N', ...shape]);
    }),
  );

  it('of a large image, whose sum is requantized like an accumulator', () =>
    expectIntegers(
      ['reduce'],
      (b) => {
        const x = input(b, 'x', [2, 70, 60]);
        b.output(b.qdq(reduced(b, 'ReduceMean', x, [1, 2, 3], 0), 0.001, 4), ['N']);
        b.output(b.qdq(reduced(b, 'ReduceSum', x, [2, 3]), 4, 4), ['N', 2, 1, 1]);
      },
      1,
    ));

  it('between a convolution and what it scales', () =>
    expectIntegers(['conv2d', 'reduce', 'binary'], (b) => {
      const weights = b.dq([4, 6, 3, 3], random.int8s(216), 0.01);
      const y = b.qdq(b.node('Conv', [input(b, 'x', [6, 4, 5]), weights], { pads: [1, 1, 1, 1] }), 0.1, -7);
      const largest = b.qdq(reduced(b, 'ReduceMax', y, [2, 3]), 0.1, -7);
      b.output(b.qdq(b.node('Mul', [y, b.qdq(b.node('Sigmoid', [largest]), 1 / 256, -128)]), 0.1, 0), [
        'N',
        4,
        4,
        5,
      ]);
    }));

  it('of maxima, clamped and with a scale of its own', () =>
    expectIntegers(['reduce', 'lookup'], (b) => {
      const y = reduced(b, 'ReduceMax', input(b, 'x', [6, 4, 5]), [1], 0);
      b.output(b.qdq(b.node('Relu', [y]), 0.017, -128), ['N', 4, 5]);
    }));
});
