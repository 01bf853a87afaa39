import { describe, expect, it } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { relu } from '../../src/graph/operators/relu.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import type { Conv2dOperation, IntegerProgram, Operation } from '../../src/program/program.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { runOrt } from '../support/ort.ts';
import { randomInputs as randomIntegers } from '../support/program-builder.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(21);

function graphOf(build: (b: QdqGraphBuilder) => void): Graph {
  const b = createQdqGraph();
  build(b);
  return b.build();
}

function lowered(build: (b: QdqGraphBuilder) => void, fuse = false): IntegerProgram {
  return lower(graphOf(build), builtinOperators, { fuse });
}

/** Reasons by node name, of what has no form in integers. */
function problemsOf(build: (b: QdqGraphBuilder) => void): Map<string, string> {
  try {
    lower(graphOf(build), builtinOperators, { fuse: false, host: false });
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return new Map(error.problems.map(({ node, reason }) => [node, reason]));
  }
  return new Map();
}

const kinds = ({ operations }: IntegerProgram) => operations.map(({ kind }) => kind);
/** The inputs of a Slice of one axis. */
const bounds = (b: QdqGraphBuilder, ...values: readonly bigint[]) =>
  values.map((value, i) => b.constant(`bound ${i} ${value}`, [1], BigInt64Array.of(value)));
const conv3x3 = (b: QdqGraphBuilder, x: string, from: number, to: number) =>
  b.node('Conv', [x, b.dq([to, from, 3, 3], random.int8s(to * from * 9), 0.01)], { pads: [1, 1, 1, 1] });

describe('numerics', () => {
  it('folds the zero point into the bias and takes fl32(fl32(s_x·s_w)/s_y) apart', () => {
    const program = lowered((b) => {
      const x = b.qdq(b.input('x', ['N', 2, 1, 1]), 0.1, -5);
      const w = b.dq([2, 2, 1, 1], Int8Array.of(10, -3, 127, 4), [0.02, 0.003]);
      const y = b.node('Conv', [
        x,
        w,
        b.dq([2], Int32Array.of(100, -7), [
          Math.fround(Math.fround(0.1) * Math.fround(0.02)),
          Math.fround(Math.fround(0.1) * Math.fround(0.003)),
        ]),
      ]);
      b.output(b.qdq(b.node('Relu', [y]), 0.05, 7), ['N', 2, 1, 1]);
    });
    const conv = program.operations[0] as Conv2dOperation;
    expect([...conv.bias]).toEqual([100 + 5 * 7, -7 + 5 * 131]);
    const f = Math.fround;
    const multiplier = f(f(f(0.1) * f(0.02)) / f(0.05));
    expect(conv.requantize!.mantissa[0] * 2 ** -conv.requantize!.shift[0]).toBe(multiplier);
    expect(conv.requantize).toMatchObject({ zeroPoint: 7, lo: 7, hi: 127 });
    expect(program.tensors[1]).toMatchObject({
      scale: f(0.05),
      zeroPoint: 7,
      type: 'int8',
      shape: ['N', 2, 1, 1],
      image: [1, 1, 2],
    });
  });

  it('takes the zero point of 0 that a DequantizeLinear leaves out, of int8 and uint8 inputs', () => {
    for (const [dtype, zeroPoint] of [
      ['int8', 0],
      ['uint8', -128],
    ] as const) {
      const program = lowered((b) => {
        const x = b.input('x', ['N', 4], dtype);
        const scale = b.constant('s', [], Float32Array.of(0.5));
        const y = b.node('Relu', [b.node('DequantizeLinear', [x, scale])]);
        const q = b.node('QuantizeLinear', [
          y,
          scale,
          b.constant('z', [], dtype === 'int8' ? Int8Array.of(0) : Uint8Array.of(0)),
        ]);
        b.output(b.node('DequantizeLinear', [q, scale]), ['N', 4]);
      });
      expect(program.tensors.map((tensor) => tensor.zeroPoint)).toEqual(program.tensors.map(() => zeroPoint));
    }
  });

  it('shifts uint8 tensors by 128, weights too', () => {
    const program = lowered((b) => {
      const x = b.qdq(b.input('x', ['N', 1, 1, 2]), 0.1, 100, 'uint8');
      const w = b.dq([1, 1, 1, 1], Uint8Array.of(200), 0.02, { zeroPoint: [110] });
      b.output(b.qdq(b.node('Conv', [x, w]), 0.05, 0, 'uint8'), ['N', 1, 1, 2]);
    });
    const conv = program.operations[0] as Conv2dOperation;
    expect(program.tensors.map(({ zeroPoint }) => zeroPoint)).toEqual([-28, -128]);
    expect([...conv.weights.rows()]).toEqual([72]);
    expect([...conv.weights.zeroPoint!]).toEqual([-18]);
    expect([...conv.bias]).toEqual([28 * 72 + -28 * -18]);
  });

  it('permutes convolution weights to OHWI and those behind a flattened image from CHW to HWC', () => {
    const program = lowered((b) => {
      const x = b.qdq(b.input('x', ['N', 2, 1, 2]), 0.1, 0);
      const w1 = b.dq([1, 2, 1, 2], Int8Array.of(1, 2, 3, 4), 0.01);
      const w2 = b.dq([4, 1], Int8Array.of(1, 2, 3, 4), 0.01);
      b.output(b.qdq(b.node('Conv', [x, w1]), 1, 0), ['N', 1, 1, 1]);
      b.output(b.qdq(b.node('Gemm', [b.node('Flatten', [x]), w2]), 1, 0), ['N', 1]);
    });
    const [conv, dense] = program.operations as Conv2dOperation[];
    expect([...conv.weights.rows()]).toEqual([1, 3, 2, 4]);
    expect([...dense.weights.rows()]).toEqual([1, 3, 2, 4]);
    expect(dense.kernel).toEqual([1, 2]);
  });

  it('computes a last softmax on the host, of accumulators with a scale a channel', async () => {
    const graph = graphOf((b) => {
      const x = b.qdq(b.input('x', ['N', 4]), 0.1, 3);
      const logits = b.node('Gemm', [x, b.dq([3, 4], random.int8s(12), [0.01, 0.02, 0.03])], { transB: 1 });
      b.output(b.node('Softmax', [logits], { axis: -1 }), ['N', 3]);
    });
    const program = lower(graph, builtinOperators, { host: false });
    expect(program.operations.map(({ kind }) => kind)).toEqual(['conv2d', 'dequantize', 'host']);
    const [{ output: logits }] = program.operations;
    expect(program.tensors[logits]).toMatchObject({ type: 'accumulator', zeroPoint: 0 });
    expect(program.tensors[logits].scale).toEqual(
      Float32Array.of(0.01, 0.02, 0.03).map((s) => Math.fround(Math.fround(0.1) * s)),
    );
    using session = createReferenceSession(program);
    const data = randomIntegers(program, 2, random).get(0)!;
    const { tensors } = await session.run(new Map([[0, { kind: 'quantized', data }]]), { batch: 2 });
    const reals = Float32Array.from(data, (q) => Math.fround(0.1) * (q - 3));
    const expected = [...(await runOrt(graph, new Map([['x', reals]]), 2)).values()][0].data as Float32Array;
    const actual = tensors.get(program.outputs[0].tensor) as Float32Array;
    expect(actual).toHaveLength(6);
    actual.forEach((p, i) => expect(p).toBeCloseTo(expected[i], 6));
  });

  it('rounds a float bias to units of the accumulator, and rescales one of another scale', () => {
    const biasOf = (bias: (b: QdqGraphBuilder) => string) => {
      const program = lowered((b) => {
        const x = b.qdq(b.input('x', ['N', 1]), 0.5, 0);
        b.output(b.qdq(b.node('Gemm', [x, b.dq([1, 2], Int8Array.of(1, 2), 0.25), bias(b)]), 1, 0), ['N', 2]);
      });
      return [...(program.operations[0] as Conv2dOperation).bias];
    };
    expect(biasOf((b) => b.constant('bias', [2], Float32Array.of(1.2, -0.3)))).toEqual([10, -2]);
    expect(biasOf((b) => b.dq([2], Int32Array.of(3, -5), 0.5))).toEqual([12, -20]);
    expect(biasOf((b) => b.dq([2], Int32Array.of(3, -5), 0.125 * (1 + 2 ** -23)))).toEqual([3, -5]);
    expect(biasOf((b) => b.constant('bias', [1], Float32Array.of(0.5)))).toEqual([4, 4]);
  });

  it('reads an integer input, and gives a quantized output', () => {
    const program = lowered((b) => {
      b.input('x', ['N', 3], 'uint8');
      const parameters = [b.constant('s', [], Float32Array.of(0.5)), b.constant('z', [], Uint8Array.of(3))];
      const x = b.node('DequantizeLinear', ['x', ...parameters]);
      const y = b.node('Gemm', [x, b.dq([2, 3], random.int8s(6), 0.1)], { transB: 1 });
      b.output(b.node('QuantizeLinear', [y, ...parameters]), ['N', 2], 'uint8');
    });
    expect(program.inputs[0].fileDtype).toBe('uint8');
    expect(program.tensors.map(({ zeroPoint }) => zeroPoint)).toEqual([-125, -125]);
  });
});

describe('fusion', () => {
  const network = (b: QdqGraphBuilder) => {
    const x = b.qdq(b.input('x', ['N', 3, 8, 8]), 0.02, -3);
    const a = b.qdq(b.node('Relu', [conv3x3(b, x, 3, 8)]), 0.2, -128);
    const pooled = b.qdq(b.node('MaxPool', [a], { kernel_shape: [2, 2], strides: [2, 2] }), 0.2, -128);
    const c = b.qdq(conv3x3(b, pooled, 8, 8), 0.5, 2);
    const sum = b.qdq(b.node('Add', [pooled, c]), 0.6, -10);
    const clamped = b.qdq(b.node('Relu', [sum]), 0.6, -10);
    const last = b.qdq(conv3x3(b, clamped, 8, 8), 0.9, 0);
    const d = b.qdq(b.node('AveragePool', [last], { kernel_shape: [1, 1] }), 0.9, 0);
    const twice = b.qdq(b.node('Concat', [d, clamped], { axis: 1 }), 0.9, 0);
    b.output(twice, ['N', 16, 4, 4]);
    b.output(d, ['N', 8, 4, 4]);
  };

  const shuffle = (b: QdqGraphBuilder) => {
    const x = b.qdq(b.input('x', ['N', 6, 4, 4]), 0.02, -3);
    const order = b.constant('order', [6], BigInt64Array.of(0n, 3n, 1n, 4n, 2n, -1n));
    const shuffled = b.qdq(b.node('Gather', [x, order], { axis: 1 }), 0.02, -3);
    b.output(b.qdq(b.node('Slice', [shuffled, ...bounds(b, 0n, 3n, 1n)]), 0.02, -3), ['N', 3, 4, 4]);
    // Another scale: a table behind the selection.
    b.output(b.qdq(b.node('Slice', [shuffled, ...bounds(b, -3n, 9n, 1n)]), 0.05, 7), ['N', 3, 4, 4]);
  };

  it('joins pool, addition, clamp and the average of single pixels with the convolutions before them', () => {
    expect(kinds(lowered(network))).toEqual([
      'conv2d',
      'maxPool2d',
      'conv2d',
      'binary',
      'lookup',
      'conv2d',
      'averagePool2d',
      'move',
    ]);
    const fused = lowered(network, true);
    expect(kinds(fused)).toEqual(['conv2d', 'conv2d', 'conv2d', 'move']);
    const [first, second] = fused.operations as Conv2dOperation[];
    expect(first.pool).toBe(true);
    expect(second.residual).toMatchObject({ lo: -10, hi: 127 });
  });

  it.each([
    ['layers', network, 5],
    ['selections', shuffle, 3],
  ])('gives the same bytes for every tensor that both programs have: %s', async (_, build, count) => {
    const graph = graphOf(build);
    const [fused, plain] = [lower(graph, builtinOperators), lower(graph, builtinOperators, { fuse: false })];
    const data = randomIntegers(plain, 3, random).get(0)!;
    const run = async (program: IntegerProgram) => {
      using session = createReferenceSession(program);
      const tensors = program.tensors.map(({ id }) => id);
      const result = await session.run(new Map([[0, { kind: 'quantized', data }]]), { batch: 3, tensors });
      return new Map([...result.tensors].map(([id, buffer]) => [program.tensors[id].name, buffer]));
    };
    const [ours, expected] = [await run(fused), await run(plain)];
    expect(ours.size).toBe(count);
    for (const [name, buffer] of ours) expect(buffer, name).toEqual(expected.get(name));
  });

  it('leaves alone what something else reads', () => {
    const program = lowered((b) => {
      const x = b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, -3);
      const a = b.qdq(conv3x3(b, x, 3, 3), 0.2, 0);
      b.output(a, ['N', 3, 4, 4]);
      b.output(b.qdq(b.node('MaxPool', [a], { kernel_shape: [2, 2], strides: [2, 2] }), 0.2, 0), [
        'N',
        3,
        2,
        2,
      ]);
    }, true);
    expect(kinds(program)).toEqual(['conv2d', 'maxPool2d']);
  });

  it('reads the halves of a channel shuffle from what is shuffled', () => {
    const { operations } = lowered(shuffle, true);
    expect(operations.map(({ kind }) => kind)).toEqual(['move', 'move']);
    expect(operations).toMatchObject([
      { inputs: [0], parts: [{ source: { channels: Int32Array.of(0, 3, 1) } }] },
      { inputs: [0], parts: [{ source: { channels: Int32Array.of(4, 2, 5) } }] },
    ]);
  });

  it('does not join other pools', () => {
    for (const attributes of [
      { kernel_shape: [3, 3], strides: [2, 2] },
      { kernel_shape: [2, 2], strides: [1, 1] },
      { kernel_shape: [2, 2], strides: [2, 2], pads: [1, 1, 1, 1] },
    ]) {
      const program = lowered((b) => {
        const a = b.qdq(conv3x3(b, b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, -3), 3, 3), 0.2, 0);
        b.output(b.qdq(b.node('MaxPool', [a], attributes), 0.2, 0), []);
      }, true);
      expect(kinds(program)).toEqual(['conv2d', 'maxPool2d']);
    }
    for (const [attributes, scale] of [
      [{ kernel_shape: [2, 2] }, 0.2],
      [{ kernel_shape: [1, 1], strides: [2, 2] }, 0.2],
      [{ kernel_shape: [1, 1] }, 0.3],
    ] as const) {
      const program = lowered((b) => {
        const a = b.qdq(conv3x3(b, b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, -3), 3, 3), 0.2, 0);
        b.output(b.qdq(b.node('AveragePool', [a], attributes), scale, 0), []);
      }, true);
      expect(kinds(program)).toEqual(['conv2d', 'averagePool2d']);
    }
  });
});

describe('problems', () => {
  it('reports all of them at once, each with its node', () => {
    const problems = problemsOf((b) => {
      const x = b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, -3);
      b.output(b.qdq(b.node('Unique', [x]), 1, 0), []);
      b.output(b.qdq(b.node('BatchNormalization', [x]), 1, 0), []);
      b.output(b.qdq(b.node('Conv', [x, b.constant('w', [1, 3, 1, 1], new Float32Array(3))]), 1, 0), [
        'N',
        1,
        4,
        4,
      ]);
    });
    expect([...problems.keys()].map((name) => name.split('_')[0])).toEqual([
      'Unique',
      'BatchNormalization',
      'Conv',
    ]);
    expect([...problems.values()].join('\n')).toMatch(
      /cannot run[^]*must be constants[^]*weights must be int8/,
    );
  });

  it('refuses a float model with a word on what to do', () => {
    expect(() => lowered((b) => b.output(b.node('Relu', [b.input('x', ['N', 3])]), ['N', 3]))).toThrow(
      /octet quantize/,
    );
  });

  it('refuses a convolution whose accumulator can overflow', () => {
    const dense = (k: number, bias: number) => (b: QdqGraphBuilder) => {
      const x = b.qdq(b.input('x', ['N', k]), 0.1, 0);
      const w = b.dq([1, k], new Int8Array(k).fill(127), 0.1);
      const s = Math.fround(Math.fround(0.1) * Math.fround(0.1));
      b.output(b.qdq(b.node('Gemm', [x, w, b.dq([1], Int32Array.of(bias), s)], { transB: 1 }), 1, 0), [
        'N',
        1,
      ]);
    };
    expect(problemsOf(dense(1000, 2 ** 31 - 1 - 128 * 127 * 1000)).size).toBe(0);
    const [[name, reason]] = problemsOf(dense(1000, 2 ** 31 - 128 * 127 * 1000));
    expect(name).toMatch(/^Gemm/);
    expect(reason).toMatch(/accumulator can overflow int32: channel 0/);
  });

  const cases: Record<string, [(b: QdqGraphBuilder, x: string) => string, RegExp]> = {
    'no QuantizeLinear in the middle': [(b, x) => conv3x3(b, conv3x3(b, x, 3, 3), 3, 3), /not quantized/],
    'ReLU behind the last layer': [(b, x) => b.node('Relu', [conv3x3(b, x, 3, 3)]), /must be quantized/],
    'two activations of one convolution': [
      (b, x) => {
        const y = conv3x3(b, x, 3, 3);
        return b.node('Add', [b.qdq(y, 0.1, 0), b.node('Sigmoid', [y])]);
      },
      /reads it before its QuantizeLinear/,
    ],
    'two scales for one value': [
      (b, x) => {
        const y = conv3x3(b, x, 3, 3);
        return b.qdq(b.node('Add', [b.qdq(y, 0.1, 0), b.qdq(y, 0.2, 0)]), 1, 0);
      },
      /quantized in 2 different ways/,
    ],
    'addition of an image and a vector': [
      (b, x) => {
        const pooled = b.qdq(b.node('GlobalAveragePool', [x]), 1, 0);
        return b.qdq(b.node('Add', [pooled, b.node('Flatten', [pooled])]), 1, 0);
      },
      /joins \[N,3,1,1\] and \[N,3\]/,
    ],
    'product with a vector, which lies along the width': [
      (b, x) =>
        b.qdq(
          b.node('Mul', [
            x,
            b.qdq(b.node('Gemm', [b.node('Flatten', [x]), b.dq([48, 4], random.int8s(192), 1)]), 1, 0),
          ]),
          1,
          0,
        ),
      /must be of one rank/,
    ],
    'powers of what may be negative': [
      (b, x) => b.qdq(b.node('Pow', [x, b.qdq(conv3x3(b, x, 3, 3), 0.1, 0)]), 1, 0),
      /not a number where its inputs are -\S+ and -\S+/,
    ],
    'a channel behind the last': [
      (b, x) =>
        b.qdq(b.node('Gather', [x, b.constant('i', [2], BigInt64Array.of(1n, -4n))], { axis: 1 }), 0.02, -3),
      /is element -4 of 3/,
    ],
    'no channels': [
      (b, x) => b.qdq(b.node('Slice', [x, ...bounds(b, 2n, 2n, 1n)]), 0.02, -3),
      /must be given by constants and fixed sizes/,
    ],
    'channels by bounds that are not constant': [
      (b, x) => b.qdq(b.node('Slice', [x, ...bounds(b, 0n, 2n, 1n).with(1, x)]), 0.02, -3),
      /must be given by constants and fixed sizes/,
    ],
    'channels beyond all measure': [
      (b) => {
        const wide = b.qdq(b.input('wide', ['N', 2 ** 30, 1, 1]), 1, 0);
        return b.qdq(b.node('Slice', [wide, ...bounds(b, 0n, 2n ** 30n, 1n)]), 1, 0);
      },
      /is too large/,
    ],
    'a pool that sees only padding': [
      (b, x) => b.qdq(b.node('MaxPool', [x], { kernel_shape: [2, 2], pads: [2, 0, 0, 0] }), 0.02, -3),
      /nothing but padding/,
    ],
    'a dilated pool whose taps stand astride of the image': [
      (b, x) =>
        b.qdq(
          b.node('MaxPool', [x], { kernel_shape: [2, 1], dilations: [9, 1], pads: [5, 0, 5, 0] }),
          0.02,
          -3,
        ),
      /nothing but padding/,
    ],
    'a bias that differs from image to image': [
      (b, x) => {
        const product = b.node('MatMul', [b.node('Flatten', [x]), b.dq([48, 2], random.int8s(96), 1)]);
        return b.qdq(b.node('Add', [product, b.dq([2, 1], Int32Array.of(1, 2), 1)]), 1, 0);
      },
      /of one and a constant/,
    ],
    'Gemm with alpha': [
      (b, x) =>
        b.qdq(
          b.node('Gemm', [b.node('Flatten', [x]), b.dq([48, 2], random.int8s(96), 1)], { alpha: 0.5 }),
          1,
          0,
        ),
      /alpha is 0.5/,
    ],
    'padding of the batch': [
      (b, x) => {
        const pads = b.constant('pads', [8], BigInt64Array.of(1n, 0n, 0n, 0n, 0n, 0n, 1n, 1n));
        return b.qdq(b.node('Pad', [x, pads]), 0.02, -3);
      },
      /what it moves/,
    ],
    'a scale of zero': [(b, x) => b.qdq(b.node('Relu', [x]), 0, 0), /scale must be positive/],
    'a weight scale that is not a number': [
      (b, x) => b.qdq(b.node('Conv', [x, b.dq([1, 3, 1, 1], random.int8s(3), NaN)]), 1, 0),
      /scale must be positive/,
    ],
    'scales so far apart that the multiplier vanishes': [
      (b, x) => b.qdq(b.node('Conv', [x, b.dq([1, 3, 1, 1], random.int8s(3), 1e-44)]), 1e30, 0),
      /multiplier must be a positive finite float32/,
    ],
    'a reduction of the batch': [
      (b, x) => b.qdq(b.node('ReduceMax', [x], { keepdims: 1 }), 0.02, -3),
      /along the batch/,
    ],
    'softmax over the batch': [
      (b, x) => b.qdq(b.node('Relu', [b.qdq(b.node('Softmax', [x], { axis: 0 }), 1, 0)]), 1, 0),
      /behind the batch/,
    ],
  };
  it.each(Object.entries(cases))('%s', (_, [build, reason]) => {
    const problems = problemsOf((b) => {
      const x = b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, -3);
      b.output(build(b, x), []);
    });
    expect([...problems.values()].join('\n')).toMatch(reason);
    expect([...problems.keys()].join()).not.toBe('');
  });

  it('wants fixed image sizes', () => {
    const problems = problemsOf((b) =>
      b.output(b.qdq(b.input('x', ['N', 3, 'H', 'W']), 1, 0), ['N', 3, 'H', 'W']),
    );
    expect([...problems.values()].join()).toMatch(/inputShape: \{ H: …, W: … \}/);
  });
});

it('takes long chains and functions that double, without recursion or exponential work', () => {
  const program = lowered((b) => {
    let x = b.qdq(b.input('x', ['N', 4]), 1, 0);
    for (let i = 0; i < 3000; i++) x = b.node('Tanh', [b.node('Identity', [x])]);
    for (let i = 0; i < 200; i++) x = b.node('Mul', [x, x]);
    b.output(b.qdq(x, 1, 0), ['N', 4]);
  }, true);
  expect(kinds(program)).toEqual(['lookup']);
});

it('refuses a function that is not a number for some input', () => {
  const problems = problemsOf((b) => {
    const x = b.qdq(b.input('x', ['N', 4]), 1, 0);
    b.output(b.qdq(b.node('Sqrt', [x]), 1, 0), ['N', 4]);
  });
  expect([...problems.values()].join()).toMatch(/not a number where its input, an int8, is -128/);
});

it('lowers a user’s operator through the same door, in a built-in’s place too', () => {
  const twice: Operation['kind'] = 'twice';
  const program = lower(
    graphOf((b) => b.output(b.qdq(b.node('Relu', [b.qdq(b.input('x', ['N', 3]), 1, 0)]), 2, 0), ['N', 3])),
    [
      ...builtinOperators,
      {
        onnx: [relu],
        lower(node, context) {
          const input = context.activation(node, 0)!;
          const { tensor } = context.output(node, input)!;
          context.emit({ kind: twice, name: node.name, inputs: [input.id], output: tensor.id });
        },
      },
    ],
  );
  expect(kinds(program)).toEqual(['twice']);
});
