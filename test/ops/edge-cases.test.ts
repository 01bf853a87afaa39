/** What operators make of nodes at the edge of what they support, and where they must refuse. */
import { describe, expect, it, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import type {
  AveragePool2dOperation,
  Conv2dOperation,
  BinaryOperation,
  IntegerProgram,
  MoveOperation,
} from '../../src/program/program.ts';
import { paddedChannels } from '../../src/program/program.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(51);

type Build = (b: QdqGraphBuilder, x: string) => string;

/** From an image of 3 channels, 4×4. */
function graphOf(build: Build): Graph {
  const b = createQdqGraph();
  b.output(build(b, b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, -3)), []);
  return b.build();
}

const lowered = (build: Build): IntegerProgram =>
  lower(graphOf(build), builtinOperators, { fuse: false, host: false });

/** Every reason for which the graph is refused, a line each; empty where it is lowered. */
function refusal(build: Build): string {
  try {
    lowered(build);
    return '';
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return error.problems.map(({ reason }) => reason).join('\n');
  }
}

const list = (b: QdqGraphBuilder, name: string, ...values: readonly number[]) =>
  b.constant(name, [values.length], BigInt64Array.from(values, BigInt));

const slice = (b: QdqGraphBuilder, x: string, from: number, to: number, axis: number, step: number) =>
  b.node('Slice', [
    x,
    list(b, 'from', from),
    list(b, 'to', to),
    list(b, 'axis', axis),
    list(b, 'step', step),
  ]);

describe('a pool', () => {
  const pool =
    (attributes: Record<string, number | readonly number[]>, op = 'MaxPool'): Build =>
    (b, x) =>
      b.qdq(b.node(op, [x], attributes), 0.02, -3);

  test.each([
    ['height', [0, 0, 2, 0], [2, 1], [2, 1]],
    ['width', [0, 0, 0, 2], [1, 2], [1, 2]],
  ])('whose last window starts exactly at the image’s end, in %s', (_, pads, kernel_shape, strides) => {
    expect(refusal(pool({ pads, kernel_shape, strides }))).toMatch(/nothing but padding/);
    const less = pads.map((size) => size / 2);
    expect(refusal(pool({ pads: less, kernel_shape, strides, ceil_mode: 1 }))).toBe('');
  });

  test.each([
    ['height', [3, 2]],
    ['width', [2, 3]],
  ])('that rounds up in %s and counts padding', (_, kernel_shape) => {
    const attributes = { kernel_shape, strides: [2, 2], ceil_mode: 1, pads: [0, 0, 0, 0] };
    const average = pool({ ...attributes, count_include_pad: 1 }, 'AveragePool');
    expect(refusal(average)).toBe('');
    expect(refusal(pool(attributes, 'AveragePool'))).toBe('');
  });

  it('over as many values as there may be, and one more', () => {
    const over = (height: number, width: number) =>
      refusal((b) =>
        b.qdq(b.node('GlobalAveragePool', [b.qdq(b.input('large', ['N', 1, height, width]), 1, 0)]), 1, 0),
      );
    expect(over(256, 256)).toBe('');
    expect(over(1, 65537)).toMatch(/1×65537 values at once, more than 65536/);
  });

  it('averages exactly in int32, whatever the window and the count', () => {
    // The last ratio is the largest at a shift of 22 for one value; rounded multipliers of more values add up to more.
    for (const scale of [0.02, 0.7, Math.floor((2 ** 31 - 2 ** 21 - 1) / 255) / 2 ** 22]) {
      for (const kernel of [1, 2, 3, 4]) {
        const program = lowered((b) => {
          const x = b.qdq(b.input('y', ['N', 1, 4, 4]), scale, 0);
          return b.qdq(b.node('AveragePool', [x], { kernel_shape: [kernel, kernel] }), 1, 0);
        });
        const { rescale } = program.operations[0] as AveragePool2dOperation;
        const bounds = Array.from(rescale.multipliers, (multiplier, i) => 255 * (i + 1) * multiplier);
        expect(Math.max(...bounds) + 2 ** (rescale.shift - 1)).toBeLessThan(2 ** 31);
        // No bit is given away: at the next shift, the bound does not hold.
        expect(2 * Math.max(...bounds) + 2 ** rescale.shift).toBeGreaterThan(0.99 * 2 ** 31);
      }
    }
  });
});

describe('a product', () => {
  it('leaves room in int32 for two int8 as far from their zero points as can be', () => {
    const program = lowered((b, x) => {
      const other = b.qdq(b.node('Conv', [x, b.dq([3, 3, 1, 1], random.int8s(9), 0.01)]), 0.5, 127);
      return b.qdq(b.node('Mul', [x, other]), 0.01, 0);
    });
    const { rescale } = program.operations.at(-1) as BinaryOperation;
    expect(255 * 255 * rescale.multipliers[0] + 2 ** (rescale.shift - 1)).toBeLessThan(2 ** 31);
  });

  it('takes the single pixel as its first operand too', () => {
    const program = lowered((b, x) => {
      const gate = b.qdq(b.node('GlobalAveragePool', [x]), 0.5, 1);
      return b.qdq(b.node('Mul', [gate, x]), 0.01, 0);
    });
    const { inputs } = program.operations.at(-1) as BinaryOperation;
    expect(inputs.map((id) => program.tensors[id].image)).toEqual([
      [4, 4, 3],
      [1, 1, 3],
    ]);
  });
});

describe('a concatenation', () => {
  it('of tensors that differ in the zero point only needs a QuantizeLinear of its own', () => {
    const join =
      (zeroPoint: number): Build =>
      (b, x) => {
        const other = b.qdq(b.node('Conv', [x, b.dq([3, 3, 1, 1], random.int8s(9), 0.01)]), 0.02, zeroPoint);
        return b.node('Concat', [x, other], { axis: 1 });
      };
    expect(refusal(join(-3))).toBe('');
    expect(refusal(join(4))).toMatch(/must be quantized: no QuantizeLinear follows it/);
  });
});

describe('a selection', () => {
  it('walks backwards and in steps', () => {
    const channels = (from: number, to: number, step: number) => {
      const { operations } = lowered((b, x) => b.qdq(slice(b, x, from, to, 1, step), 0.02, -3));
      const { source } = (operations[0] as MoveOperation).parts[0];
      return source.kind === 'axes' ? [...source.channels] : undefined;
    };
    expect(channels(0, 3, 2)).toEqual([0, 2]);
    expect(channels(2, -9, -1)).toEqual([2, 1, 0]);
    expect(channels(9, -9, -2)).toEqual([2, 0]);
  });

  test.each([
    ['a clamp behind it', true, -3],
    ['another zero point', false, 5],
  ])('with %s is followed by a table', async (_, clamp, zeroPoint) => {
    const program = lowered((b, x) => {
      const y = b.node('GlobalMaxPool', [x]);
      return b.qdq(
        clamp
          ? b.node('Clip', [
              y,
              b.constant('lo', [], Float32Array.of(0)),
              b.constant('hi', [], Float32Array.of(1)),
            ])
          : y,
        0.02,
        zeroPoint,
      );
    });
    expect(program.operations.map(({ kind }) => kind)).toEqual(['maxPool2d', 'lookup']);
    using session = createReferenceSession(program);
    const run = async (value: number) => {
      const data = new Int8Array(16 * paddedChannels(3)).fill(value);
      const { tensors } = await session.run(new Map([[0, { kind: 'quantized', data }]]), { batch: 1 });
      return tensors.get(program.outputs[0].tensor)![0];
    };
    const expected = (value: number) => (clamp ? Math.min(47, Math.max(-3, value)) : value + 8);
    for (const value of [-100, -3, 0, 40, 100]) expect(await run(value)).toBe(expected(value));
  });
});

describe('a layer', () => {
  const dense = (b: QdqGraphBuilder, x: string, weights: string, attributes = {}, ...bias: string[]) =>
    b.qdq(b.node('Gemm', [b.node('Flatten', [x]), weights, ...bias], attributes), 1, 0);

  test.each<[string, Build, RegExp]>([
    [
      'with weight scales for each input channel',
      (b, x) => b.qdq(b.node('Conv', [x, b.dq([3, 3, 1, 1], random.int8s(9), [1, 2, 3], { axis: 1 })]), 1, 0),
      /weight scales are along axis 1, not 0/,
    ],
    [
      'with weight scales for each input of a dense layer',
      (b, x) => {
        const scales = Array.from({ length: 48 }, (_, i) => i + 1);
        return dense(b, x, b.dq([48, 2], random.int8s(96), scales, { axis: 0 }));
      },
      /weight scales are along axis 0, not 1/,
    ],
    [
      'with beta',
      (b, x) =>
        dense(b, x, b.dq([48, 2], random.int8s(96), 1), { beta: 2 }, b.dq([2], Int32Array.of(1, 2), 1)),
      /beta is 2; only 1/,
    ],
  ])('%s is refused', (_, build, reason) => {
    expect(refusal(build)).toMatch(reason);
  });

  it('with a transposed input is refused', () => {
    const b = createQdqGraph();
    const x = b.qdq(b.input('x', [3, 3]), 1, 0);
    const product = b.node('Gemm', [x, b.dq([3, 2], random.int8s(6), 1)], { transA: 1 });
    b.output(b.qdq(product, 1, 0), [3, 2]);
    expect(() => lower(b.build(), builtinOperators)).toThrow(/transA is 1; only 0/);
  });

  it('rescales a bias whose scale is a little off, and subtracts its zero point', () => {
    const biasOf = (bias: (b: QdqGraphBuilder) => string) => {
      const b = createQdqGraph();
      const x = b.qdq(b.input('x', ['N', 1]), 0.5, 0);
      b.output(b.qdq(b.node('Gemm', [x, b.dq([1, 1], Int8Array.of(1), 0.25), bias(b)]), 1, 0), ['N', 1]);
      return (lower(b.build(), builtinOperators).operations[0] as Conv2dOperation).bias[0];
    };
    expect(biasOf((b) => b.dq([1], Int32Array.of(100_000), 0.125 * (1 + 2 ** -13)))).toBe(100_012);
    expect(biasOf((b) => b.dq([1], Int8Array.of(100), 0.125, { zeroPoint: [-5] }))).toBe(105);
  });

  it('takes weight zero points that are all below 0', () => {
    const { operations } = lowered((b, x) => {
      const w = b.dq([1, 3, 1, 1], random.int8s(3), 0.01, { zeroPoint: [-7] });
      return b.qdq(b.node('Conv', [x, w]), 1, 0);
    });
    expect((operations[0] as Conv2dOperation).weights.zeroPoint).toEqual(Int8Array.of(-7));
  });
});
