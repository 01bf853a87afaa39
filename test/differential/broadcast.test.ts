/** Functions of two tensors, of which one may be repeated: each graph agrees with ONNX Runtime, in integers throughout. */
import { describe, expect, it } from 'vitest';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import { differential } from '../support/differential.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(9);
const BATCH = 3;

async function expectAgreement(
  build: (b: QdqGraphBuilder) => void,
  kinds?: readonly string[],
): Promise<void> {
  const b = createQdqGraph();
  build(b);
  const graph = b.build();
  const { operations } = lower(inferShapes(graph), builtinOperators, { host: false });
  if (kinds) expect(operations.map(({ kind }) => kind)).toEqual(kinds);
  const verdict = await differential(graph, randomInputs(graph, BATCH, 5), BATCH);
  expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
}

const input = (b: QdqGraphBuilder, name: string, shape: readonly number[], scale = 0.02, zeroPoint = 3) =>
  b.qdq(b.input(name, ['N', ...shape]), scale, zeroPoint);

describe.each(['Add', 'Sub', 'Mul', 'Max', 'Min'])('%s', (op) => {
  it.each([
    [
      [6, 4, 5],
      [1, 4, 5],
    ],
    [
      [6, 4, 5],
      [6, 1, 5],
    ],
    [
      [6, 4, 5],
      [6, 4, 1],
    ],
    [
      [6, 4, 5],
      [1, 1, 1],
    ],
    [
      [6, 1, 1],
      [1, 4, 5],
    ],
    [
      [6, 1, 5],
      [1, 4, 1],
    ],
    [
      [7, 5],
      [1, 5],
    ],
    [
      [7, 5],
      [7, 1],
    ],
    [[6], [1]],
    [
      [3, 2, 4, 5],
      [3, 1, 4, 1],
    ],
    [
      [6, 4, 5],
      [6, 4, 5],
    ],
  ])('of [N, %j] and [N, %j], in both orders', (a, c) =>
    expectAgreement((b) => {
      const [x, y] = [input(b, 'x', a), input(b, 'y', c, 0.013, -20)];
      const shape = a.map((size, axis) => Math.max(size, c[axis]));
      b.output(b.qdq(b.node(op, [x, y]), 0.04, -3), ['N', ...shape]);
      b.output(b.qdq(b.node('Relu', [b.node(op, [y, x])]), 0.03, -128), ['N', ...shape]);
    }),
  );

  it('of a tensor and a quantized constant that differs from pixel to pixel', () =>
    expectAgreement((b) => {
      const constant = b.dq([4, 5], random.int8s(20), 0.02, { zeroPoint: [-7] });
      b.output(b.qdq(b.node(op, [constant, input(b, 'x', [6, 4, 5])]), 0.04, -3), ['N', 6, 4, 5]);
    }));
});

it('the larger of two functions needs no pair before it', () =>
  expectAgreement(
    (b) => {
      const x = input(b, 'x', [6, 4, 5]);
      const slopes = b.constant('slopes', [6, 1, 1], Float32Array.of(0.1, -0.3, 0.2, 1.5, 0.7, 0));
      const [y, z] = [b.node('PRelu', [x, slopes]), b.node('Sigmoid', [input(b, 'y', [6, 4, 5])])];
      b.output(b.qdq(b.node('Max', [y, z]), 0.03, -3), ['N', 6, 4, 5]);
    },
    ['lookup', 'lookup', 'binary'],
  ));

it('tensors that are quantized as the result are compared as they are', () =>
  expectAgreement(
    (b) => {
      const [x, y] = [input(b, 'x', [6, 4, 5]), input(b, 'y', [6, 4, 5])];
      b.output(b.qdq(b.node('Min', [x, y]), 0.02, 3), ['N', 6, 4, 5]);
    },
    ['binary'],
  ));

describe('an average that counts padding, but not what ceil_mode adds', () => {
  it.each([
    [
      [3, 3],
      [2, 2],
      [1, 1, 1, 1],
    ],
    [
      [3, 2],
      [2, 3],
      [0, 1, 1, 0],
    ],
    [
      [4, 3],
      [3, 3],
      [2, 0, 2, 1],
    ],
  ])('of %j in steps of %j, padded %j', (kernel_shape, strides, pads) =>
    expectAgreement((b) => {
      const attributes = { kernel_shape, strides, pads, ceil_mode: 1, count_include_pad: 1 };
      const y = b.node('AveragePool', [input(b, 'x', [5, 8, 10])], attributes);
      const sizes = [8, 10].map((size, axis) => {
        const last = size + pads[axis] + pads[axis + 2] - kernel_shape[axis];
        const steps = Math.ceil(last / strides[axis]);
        const isLate = steps * strides[axis] >= size + pads[axis];
        return steps + (isLate ? 0 : 1);
      });
      b.output(b.qdq(y, 0.015, -3), ['N', 5, ...sizes]);
    }),
  );
});
