/** Multipliers, lowering and fusion where a small mistake would show in few files only. */
import { describe, expect, it, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { dequantizeTensor, readPreprocessing } from '../../src/program/input.ts';
import { lower } from '../../src/program/lower.ts';
import { commonRescale, requantize, toMultiplier } from '../../src/program/multiplier.ts';
import { quantizeReal } from '../../src/program/pointwise.ts';
import { nchw } from '../../src/program/program.ts';
import type { Conv2dOperation, IntegerProgram, LookupOperation } from '../../src/program/program.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { randomInputs } from '../support/program-builder.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(41);

function graphOf(build: (b: QdqGraphBuilder) => void): Graph {
  const b = createQdqGraph();
  build(b);
  return b.build();
}

const lowered = (build: (b: QdqGraphBuilder) => void): IntegerProgram =>
  lower(graphOf(build), builtinOperators, { fuse: false, host: false });

/** Every reason for which the graph is refused, a line each; empty where it is lowered. */
function refusal(build: (b: QdqGraphBuilder) => void): string {
  try {
    lowered(build);
    return '';
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return error.problems.map(({ reason }) => reason).join('\n');
  }
}

const conv = (b: QdqGraphBuilder, x: string, from: number, to: number): string =>
  b.node('Conv', [x, b.dq([to, from, 3, 3], random.int8s(to * from * 9), 0.01)], { pads: [1, 1, 1, 1] });

const kinds = ({ operations }: IntegerProgram): string[] => operations.map(({ kind }) => kind);

describe('requantize, right beside a tie', () => {
  // Products of 55 bits, 1 or 2 from an odd multiple of 2^(shift − 1): a float64 holds 53 of them. (Found by solving
  // acc · mantissa ≡ 2^(shift − 1) + d modulo 2^shift; random products never come as near.)
  test.each([
    [846463346, 8521097, 46, 0],
    [-846463346, 8521097, 46, 0],
    [-1231563250, 8884919, 46, 100],
    [1231563250, 8884919, 46, -100],
    [1423255699, 9319835, 46, -128],
    [-1423255699, 9319835, 46, 127],
    [978662201, 8664311, 46, 0],
    [-1957324402, 8664311, 47, 0],
  ])('%i · %i · 2^-%i with a zero point of %i', (acc, mantissa, shift, zeroPoint) => {
    const unit = 1n << BigInt(shift);
    const product = BigInt(acc) * BigInt(mantissa);
    const floor = product >> BigInt(shift);
    const twice = 2n * (product - floor * unit);
    const distance = twice > unit ? twice - unit : unit - twice;
    expect(distance > 0n && distance <= 4n).toBe(true);
    const exact = zeroPoint + Number(twice > unit ? floor + 1n : floor);
    expect(requantize(acc, mantissa, shift, zeroPoint, -128, 127)).toBe(exact);
  });
});

describe('multipliers', () => {
  it.each([0, -0, -1, Infinity, -Infinity, NaN])('refuse %d', (real) => {
    expect(() => toMultiplier(real)).toThrow(/positive finite float32/);
  });

  it('leave room in int32 for the half that rounding adds', () => {
    for (const factor of [1 / 255, 0.5, 1, 32769 / 32768, 1.99, 254.99]) {
      for (const terms of [[1], [1, 1], [1, 1, 1, 1, 1]]) {
        const { multipliers, shift } = commonRescale(
          terms.map(() => factor),
          terms,
        );
        const sum = multipliers.reduce((total, multiplier) => total + 255 * multiplier, 0);
        expect(sum + 2 ** (shift - 1)).toBeLessThan(2 ** 31);
      }
    }
    // At a shift of 23, 255 · multiplier alone stays below 2³¹; with 2²² it does not.
    const factor = (2 ** 31 - 2 ** 21) / 255 / 2 ** 23;
    expect(commonRescale([factor], [1]).shift).toBe(22);
    expect(commonRescale([2 ** 23], [1])).toEqual({ multipliers: Int32Array.of(2 ** 23), shift: 0 });
  });
});

describe('quantizeReal', () => {
  it('divides in float32: 0.35 / 0.1 is a tie there, and below it in float64', () => {
    const [x, scale] = [Math.fround(0.35), Math.fround(0.1)];
    expect([x / scale < 3.5, Math.fround(x / scale)]).toEqual([true, 3.5]);
    expect(quantizeReal(x, scale, 0)).toBe(4);
  });

  it('rounds the number to float32 before it divides', () => {
    const scale = Math.fround(0.1);
    expect(quantizeReal(1.55, scale, 0)).toBe(15);
    expect(quantizeReal(Math.fround(1.55), scale, 0)).toBe(15);
  });
});

describe('preprocessing', () => {
  test.each(['0', '-1', 'Infinity', '1,1', 'x'])('a standard deviation of %s is refused', (std) => {
    const metadata = new Map([
      ['mean', '0.5'],
      ['std', std],
    ]);
    expect(() => readPreprocessing(metadata)).toThrow(/std above 0/);
  });
});

describe('a scale for each channel of an output', () => {
  it('is that of the channel in every pixel, where channels are padded', () => {
    const tensor = {
      id: 0,
      name: 'y',
      shape: ['N', 3, 1, 2],
      ...nchw([1, 2, 3]),
      type: 'accumulator',
      scale: Float32Array.of(1, 10, 100),
      zeroPoint: 0,
    } as const;
    const reals = dequantizeTensor(tensor, Int32Array.of(1, 2, 3, 0, 4, 5, 6, 0), 1);
    expect([...reals]).toEqual([1, 4, 20, 50, 300, 600]);
  });
});

describe('lowering', () => {
  it('takes the zero point of 0 that uint8 weights leave out, and one for each channel', () => {
    const weightsOf = (zeroPoint?: readonly number[]) => {
      const program = lowered((b) => {
        const x = b.qdq(b.input('x', ['N', 1, 1, 1]), 0.1, 0);
        const scales = zeroPoint ? [0.1, 0.1] : 0.1;
        const w = b.dq([2, 1, 1, 1], Uint8Array.of(0, 200), scales, zeroPoint ? { zeroPoint } : {});
        b.output(b.qdq(b.node('Conv', [x, w]), 1, 0), ['N', 2, 1, 1]);
      });
      const { weights } = program.operations[0] as Conv2dOperation;
      return Array.from(weights.rows(), (w, o) => w - (weights.zeroPoint?.[o] ?? 0));
    };
    expect(weightsOf()).toEqual([0, 200]);
    expect(weightsOf([100, 250])).toEqual([-100, -50]);
  });

  it('takes the axis of a DequantizeLinear that does not say one for 1', () => {
    const program = lowered((b) => {
      const x = b.qdq(b.input('x', ['N', 3]), 0.5, 0);
      const names = [
        b.constant('w', [3, 2], random.int8s(6)),
        b.constant('s', [2], Float32Array.of(0.5, 0.25)),
        b.constant('z', [2], new Int8Array(2)),
      ];
      b.output(b.node('Gemm', [x, b.node('DequantizeLinear', names)]), ['N', 2]);
    });
    expect(program.tensors.at(-1)!.scale).toEqual(Float32Array.of(0.25, 0.125));
  });

  it('rescales between pairs that differ in the zero point only', () => {
    const program = lowered((b) => {
      const x = b.qdq(b.input('x', ['N', 3]), 0.5, 0);
      b.output(b.qdq(x, 0.5, 10), ['N', 3]);
    });
    const [{ table }] = program.operations as LookupOperation[];
    expect([table[0], table[128], table[255]]).toEqual([-118, 10, 127]);
  });

  it('subtracts the zero point of a quantized scalar', () => {
    const program = lowered((b) => {
      const x = b.qdq(b.input('x', ['N', 3]), 1, 0);
      const three = b.dq([], Int8Array.of(13), 1, { zeroPoint: [10] });
      b.output(b.qdq(b.node('Sub', [x, three]), 1, 0), ['N', 3]);
    });
    const [{ table }] = program.operations as LookupOperation[];
    expect(table[128 + 50]).toBe(47);
  });

  const input = (b: QdqGraphBuilder): string => b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, -3);

  test.each<[string, (b: QdqGraphBuilder) => string, RegExp]>([
    [
      'one value with two zero points',
      (b) => {
        const y = conv(b, input(b), 3, 3);
        return b.qdq(b.node('Add', [b.qdq(y, 0.1, 0), b.qdq(y, 0.1, 5)]), 1, 0);
      },
      /quantized in 2 different ways/,
    ],
    [
      'an activation with a scale for each channel',
      (b) => {
        const parameters = [
          b.constant('s', [3], Float32Array.of(1, 2, 3)),
          b.constant('z', [3], new Int8Array(3)),
        ];
        const q = b.node('QuantizeLinear', [conv(b, input(b), 3, 3), ...parameters], { axis: 1 });
        return b.node('DequantizeLinear', [q, ...parameters], { axis: 1 });
      },
      /must have one scale, not one a channel/,
    ],
    [
      'an infinite weight scale',
      (b) => b.qdq(b.node('Conv', [input(b), b.dq([1, 3, 1, 1], random.int8s(3), Infinity)]), 1, 0),
      /scale must be positive, and 255 times it a float32, but is Infinity/,
    ],
    [
      'a clamp behind the last layer',
      (b) =>
        b.node('Relu', [b.node('Gemm', [b.node('Flatten', [input(b)]), b.dq([48, 2], random.int8s(96), 1)])]),
      /must be quantized: no QuantizeLinear follows it/,
    ],
  ])('refuses %s', (_, build, reason) => {
    expect(refusal((b) => b.output(build(b), []))).toMatch(reason);
  });

  it('refuses an input without pixels', () => {
    const reason = refusal((b) => b.output(b.qdq(b.input('x', ['N', 3, 0, 4]), 1, 0), []));
    expect(reason).toMatch(/fixed sizes/);
  });
});

describe('fusion gives the bytes of the plain program', () => {
  type Build = (b: QdqGraphBuilder, x: string) => string;
  const halve = (b: QdqGraphBuilder, x: string, attributes = {}) =>
    b.node('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2], ...attributes });
  const pooled: Build = (b, x) => b.qdq(halve(b, b.qdq(conv(b, x, 4, 4), 0.2, 3)), 0.2, 3);
  const sum = (b: QdqGraphBuilder, x: string, y: string, scale: number) =>
    b.qdq(b.node('Add', [x, y]), scale, -7);

  test.each<[string, Build, readonly string[]]>([
    [
      'a pool behind a residual',
      (b, x) => b.qdq(halve(b, sum(b, x, b.qdq(conv(b, x, 4, 4), 0.2, 3), 0.3)), 0.3, -7),
      ['conv2d', 'maxPool2d'],
    ],
    [
      'a residual behind a pool',
      (b, x) => sum(b, pooled(b, x), b.qdq(halve(b, x), 0.05, 4), 0.3),
      ['conv2d', 'maxPool2d', 'binary'],
    ],
    [
      'two residuals in a row, of different scales',
      (b, x) => sum(b, x, sum(b, x, b.qdq(conv(b, x, 4, 4), 0.2, 3), 0.3), 0.4),
      ['conv2d', 'binary'],
    ],
    [
      'a residual whose convolution is the second operand',
      (b, x) => sum(b, x, b.qdq(conv(b, x, 4, 4), 0.2, 3), 0.3),
      ['conv2d'],
    ],
    [
      'a sum of a convolution and itself',
      (b, x) => {
        const y = b.qdq(conv(b, x, 4, 4), 0.2, 3);
        return sum(b, b.qdq(b.node('MaxPool', [y], { kernel_shape: [1, 1] }), 0.2, 3), y, 0.4);
      },
      ['conv2d', 'maxPool2d', 'binary'],
    ],
    [
      'a dilated pool',
      (b, x) => b.qdq(halve(b, b.qdq(conv(b, x, 4, 4), 0.2, 3), { dilations: [3, 3] }), 0.2, 3),
      ['conv2d', 'maxPool2d'],
    ],
    [
      'a clamp of another zero point',
      (b, x) => b.qdq(b.node('Relu', [b.qdq(conv(b, x, 4, 4), 0.2, 3)]), 0.2, -60),
      ['conv2d', 'lookup'],
    ],
    [
      'the average of single pixels, of another zero point',
      (b, x) => {
        const y = b.qdq(conv(b, x, 4, 4), 0.2, 3);
        return b.qdq(b.node('AveragePool', [y], { kernel_shape: [1, 1] }), 0.2, -60);
      },
      ['conv2d', 'averagePool2d'],
    ],
    [
      'a clamp beside another reader',
      (b, x) => {
        const y = b.qdq(conv(b, x, 4, 4), 0.2, 3);
        return sum(b, b.qdq(b.node('Relu', [y]), 0.2, 3), y, 0.4);
      },
      ['conv2d', 'lookup', 'binary'],
    ],
    [
      'a clamp behind an average pool',
      (b, x) => {
        const mean = b.node('AveragePool', [x], { kernel_shape: [3, 3] });
        return b.qdq(b.node('Relu', [b.qdq(mean, 0.05, 4)]), 0.05, 4);
      },
      ['averagePool2d'],
    ],
    [
      'a clamp behind a concatenation',
      (b, x) => b.qdq(b.node('Relu', [b.qdq(b.node('Concat', [x, x], { axis: 1 }), 0.05, 4)]), 0.05, 4),
      ['move'],
    ],
    [
      'clamps behind a product and a sum',
      (b, x) => {
        const gate = b.qdq(conv(b, x, 4, 4), 0.1, 0);
        const product = b.qdq(b.node('Mul', [x, gate]), 0.2, 9);
        const clamped = b.qdq(b.node('Relu', [product]), 0.2, 9);
        return b.qdq(b.node('Relu', [sum(b, clamped, x, 0.3)]), 0.3, -7);
      },
      ['conv2d', 'binary', 'binary'],
    ],
    [
      'a chain in which everything is joined with the convolution',
      (b, x) => {
        const y = b.qdq(b.node('Relu', [b.qdq(conv(b, x, 4, 4), 0.2, 3)]), 0.2, 3);
        return b.qdq(b.node('Relu', [sum(b, y, x, 0.3)]), 0.3, -7);
      },
      ['conv2d'],
    ],
  ])('%s', async (_, build, expected) => {
    const graph = graphOf((b) => {
      const y = build(b, b.qdq(b.input('x', ['N', 4, 8, 8]), 0.05, 4));
      b.output(y, []);
    });
    const [fused, plain] = [true, false].map((fuse) => lower(graph, builtinOperators, { fuse }));
    expect(kinds(fused).toSorted()).toEqual([...expected].toSorted());
    const data = randomInputs(plain, 2, random).get(0)!;
    const bytes = async (program: IntegerProgram) => {
      using session = createReferenceSession(program);
      const { tensors } = await session.run(new Map([[0, { kind: 'quantized', data }]]), { batch: 2 });
      return tensors.get(program.outputs[0].tensor)!;
    };
    expect(await bytes(fused)).toEqual(await bytes(plain));
  });
});
