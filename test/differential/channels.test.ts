/** Functions that differ by channel: each graph agrees with ONNX Runtime on the reference and wasm, in integers throughout. */
import { describe, expect, it } from 'vitest';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { differential } from '../support/differential.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(8);
const BATCH = 3;

/** @param kinds of the operations, none of which is a host stage */
async function expectAgreement(
  build: (b: QdqGraphBuilder) => void,
  kinds?: readonly string[],
  batch = BATCH,
): Promise<void> {
  const b = createQdqGraph();
  build(b);
  const graph = b.build();
  const { operations } = lower(inferShapes(graph), builtinOperators, { host: false });
  if (kinds) expect(operations.map(({ kind }) => kind)).toEqual(kinds);
  const verdict = await differential(graph, randomInputs(graph, batch, 5), batch);
  expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
}

const reals = (b: QdqGraphBuilder, shape: readonly number[], least = -1, most = 1) =>
  b.constant(
    `reals ${b.build().constants.size}`,
    shape,
    Float32Array.from(
      { length: shape.reduce((product, size) => product * size, 1) },
      () => least + (most - least) * random.next(),
    ),
  );
const input = (b: QdqGraphBuilder, shape: readonly number[], name = 'x') =>
  b.qdq(b.input(name, ['N', ...shape]), 0.02, 3);

describe('a batch normalization between pairs', () => {
  it.each([[[6, 4, 5]], [[5]], [[7, 9]], [[3, 2, 3, 4]]])('of [N, %j] is a table for each channel', (shape) =>
    expectAgreement(
      (b) => {
        const c = shape[0];
        const parameters = [reals(b, [c], -2, 2), reals(b, [c]), reals(b, [c]), reals(b, [c], 0, 2)];
        const y = b.node('BatchNormalization', [input(b, shape), ...parameters], { epsilon: 1e-3 });
        b.output(b.qdq(b.node('Relu', [y]), 0.03, -128), ['N', ...shape]);
      },
      ['lookup'],
    ),
  );

  it('of a tensor whose channels lie apart is one of a moved tensor', () =>
    expectAgreement(
      (b) => {
        const moved = b.qdq(b.node('Reshape', [input(b, [6, 4, 5]), list(b, 0, 4, 5, 6)]), 0.02, 3);
        const parameters = [reals(b, [4]), reals(b, [4]), reals(b, [4]), reals(b, [4], 0, 2)];
        b.output(b.qdq(b.node('BatchNormalization', [moved, ...parameters]), 0.03, 0), ['N', 4, 5, 6]);
      },
      ['move', 'lookup'],
    ));
});

const list = (b: QdqGraphBuilder, ...values: readonly number[]) =>
  b.constant(`list ${values.join()}`, [values.length], BigInt64Array.from(values, BigInt));

describe('a constant for each channel', () => {
  it.each(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'PRelu'])('of %s', (op) =>
    expectAgreement(
      (b) => {
        const constant = reals(b, [6, 1, 1], 0.2, 1.5);
        b.output(b.qdq(b.node(op, [input(b, [6, 4, 5]), constant]), 0.05, -3), ['N', 6, 4, 5]);
        if (op === 'PRelu') return;
        const first = b.node(op, [
          reals(b, [1, 6, 1, 1], 0.2, 1.5),
          b.node('Sigmoid', [input(b, [6, 4, 5], 'z')]),
        ]);
        b.output(b.qdq(first, 0.05, -3, 'uint8'), ['N', 6, 4, 5]);
      },
      op === 'PRelu' ? ['lookup'] : ['lookup', 'lookup'],
    ),
  );

  it('is quantized itself, or one a group of features', () =>
    expectAgreement(
      (b) => {
        const scaled = b.node('Mul', [input(b, [5]), b.dq([5], Int8Array.of(-128, 0, 3, 127, 50), 0.01)]);
        const shifted = b.node('Add', [
          scaled,
          b.dq([1, 5], Uint8Array.of(0, 255, 7, 80, 200), 0.02, { zeroPoint: [100] }),
        ]);
        b.output(b.qdq(b.node('HardSwish', [shifted]), 0.01, -100), ['N', 5]);
      },
      ['lookup'],
    ));

  it('along the last axis of a matrix', () =>
    expectAgreement(
      (b) => {
        b.output(b.qdq(b.node('Mul', [input(b, [7, 5]), reals(b, [5])]), 0.02, 3), ['N', 7, 5]);
        b.output(b.qdq(b.node('Mul', [input(b, [7, 5], 'z'), reals(b, [7, 1])]), 0.02, 3), ['N', 7, 5]);
      },
      ['move', 'lookup', 'lookup'],
    ));

  it('joins another function of the same channels', () =>
    expectAgreement(
      (b) => {
        const x = input(b, [4, 3, 2]);
        const gate = b.node('Sigmoid', [b.node('Mul', [x, reals(b, [4, 1, 1], -3, 3)])]);
        b.output(b.qdq(b.node('Mul', [gate, x]), 0.01, 9), ['N', 4, 3, 2]);
      },
      ['lookup'],
    ));
});

describe('a function of each channel right behind a layer, without a pair between them', () => {
  const layer = (b: QdqGraphBuilder, x: string, zeroPoint?: readonly number[]) => {
    const weights = random.int8s(6 * 4 * 9);
    weights[0] = -128;
    const quantized = b.dq([6, 4, 3, 3], weights, [0.01, 0.02, 0.005, 0.01, 0.013, 0.008], {
      ...(zeroPoint && { zeroPoint }),
    });
    return b.node('Conv', [x, quantized], { pads: [1, 1, 1, 1] });
  };
  const normalized = (b: QdqGraphBuilder, y: string) => {
    // Weights are reflected where the factor is negative, one of them -128; a factor of 0 leaves a constant.
    const gamma = b.constant('gamma', [6], Float32Array.of(-0.7, 1.1, 0, 0.4, -0.2, 2));
    return b.node('BatchNormalization', [y, gamma, reals(b, [6]), reals(b, [6]), reals(b, [6], 0.5, 2)]);
  };

  it.each([[undefined], [[-128, 127, 3, 0, -1, 50]]])('joins it (weight zero points %j)', (zeroPoint) =>
    expectAgreement(
      (b) => {
        const y = normalized(b, layer(b, input(b, [4, 5, 6]), zeroPoint));
        b.output(b.qdq(b.node('Relu', [y]), 0.05, -128), ['N', 6, 5, 6]);
      },
      ['conv2d'],
    ),
  );

  it('is a sum, a product and a quotient with constants', () =>
    expectAgreement(
      (b) => {
        let y = b.node('Add', [layer(b, input(b, [4, 5, 6])), reals(b, [6, 1, 1])]);
        y = b.node('Mul', [reals(b, [1, 6, 1, 1], -2, 2), y]);
        y = b.node('Div', [y, reals(b, [6, 1, 1], 0.5, 2)]);
        b.output(b.qdq(b.node('Sub', [reals(b, []), y]), 0.05, 4), ['N', 6, 5, 6]);
      },
      ['conv2d'],
    ));

  it('behind a dense layer', () =>
    expectAgreement(
      (b) => {
        const w = b.dq([3, 8], random.int8s(24), 0.01);
        const y = b.node('Gemm', [input(b, [8]), w, b.constant('bias', [3], Float32Array.of(0.1, -1, 2))], {
          transB: 1,
        });
        b.output(b.qdq(b.node('Mul', [y, reals(b, [3], -2, 2)]), 0.05, 4), ['N', 3]);
      },
      ['conv2d'],
    ));
});

describe('an activation with a scale for each channel', () => {
  const scales = [0.013, 0.02, 0.009, 0.031];
  const pair = (b: QdqGraphBuilder, x: string, zeros: Int8Array | Uint8Array, list = scales) => {
    const parameters = [
      b.constant(`scales ${list.join()}`, [4], Float32Array.from(list)),
      b.constant(`zeros ${zeros.join()}`, [4], zeros),
    ];
    const q = b.node('QuantizeLinear', [x, ...parameters], { axis: 1 });
    return b.node('DequantizeLinear', [q, ...parameters], { axis: 1 });
  };
  const depthwise = (b: QdqGraphBuilder, x: string, perGroup = 2) => {
    const out = 4 * perGroup;
    const scale = Array.from({ length: out }, (_, c) => 0.01 + 0.002 * c);
    const w = b.dq([out, 1, 3, 3], random.int8s(out * 9), perGroup === 1 ? 0.01 : scale);
    const y = b.node('Conv', [x, w], { group: 4, pads: [1, 1, 1, 1] });
    b.output(b.qdq(y, 0.03, 5), ['N', out, 5, 6]);
  };
  const conv = (b: QdqGraphBuilder) =>
    b.node('Conv', [input(b, [3, 5, 6]), b.dq([4, 3, 1, 1], random.int8s(12), 0.01)]);

  it.each([
    ['none', ['conv2d', 'conv2d']],
    ['Relu', ['conv2d', 'conv2d']],
    ['Clip', ['conv2d', 'conv2d']],
    ['Sigmoid', ['lookup', 'conv2d']],
  ])('is part of the layers around it, with %s before', (op, kinds) =>
    expectAgreement((b) => {
      const six = b.constant('six', [], Float32Array.of(0.031 * 255));
      const zero = b.constant('zero', [], Float32Array.of(0));
      let x = op === 'Sigmoid' ? input(b, [4, 5, 6]) : conv(b);
      if (op !== 'none') x = b.node(op, op === 'Clip' ? [x, zero, six] : [x]);
      const zeros = op === 'Relu' || op === 'Clip' ? new Uint8Array(4) : Int8Array.of(3, 3, 3, 3);
      depthwise(b, pair(b, x, zeros), op === 'Relu' ? 1 : 2);
    }, kinds),
  );
});
