/** Graphs that once gave wrong answers: each agrees with ONNX Runtime, or is refused with a word on why. */
import { describe, expect, it } from 'vitest';
import { differential } from '../support/differential.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(3);
const BATCH = 2;

type Build = (b: QdqGraphBuilder) => void;

function check(build: Build, batch: number) {
  const b = createQdqGraph();
  build(b);
  const graph = b.build();
  return differential(graph, randomInputs(graph, batch, 3), batch);
}

async function expectAgreement(build: Build, batch = BATCH): Promise<void> {
  const verdict = await check(build, batch);
  expect(verdict).toMatchObject({ kind: 'agrees' });
}

async function expectRefusal(build: Build, reason: RegExp, batch = BATCH): Promise<void> {
  const verdict = await check(build, batch);
  expect(verdict.kind).toBe('refused');
  if (verdict.kind === 'refused') expect(verdict.reasons.join('\n')).toMatch(reason);
}

const conv = (b: QdqGraphBuilder, x: string, from: number, to: number, size = 3) =>
  b.node('Conv', [x, b.dq([to, from, size, size], random.int8s(to * from * size * size), 0.01)]);
const scalar = (b: QdqGraphBuilder, value: number) =>
  b.constant(`scalar ${value}`, [], Float32Array.of(value));
const sizes = (b: QdqGraphBuilder, ...values: readonly number[]) =>
  b.constant(`sizes ${values.join()}`, [values.length], BigInt64Array.from(values, BigInt));

describe('softmax at the end', () => {
  const features = (b: QdqGraphBuilder) => {
    const x = b.qdq(b.input('x', ['N', 2, 5, 6]), 0.02, 3);
    return conv(b, b.qdq(b.node('Relu', [conv(b, x, 2, 5)]), 0.05, -128), 5, 3, 1);
  };

  it('is over all values of a flattened image', () =>
    expectAgreement((b) => {
      b.output(b.node('Softmax', [b.node('Flatten', [features(b)])], { axis: 1 }), ['N', 36]);
    }));

  it.each([1, 2, 3, -1])('is over axis %i of an image', (axis) =>
    expectAgreement((b) => b.output(b.node('Softmax', [features(b)], { axis }), ['N', 3, 3, 4])),
  );

  it('is not over the batch', () =>
    expectRefusal(
      (b) => b.output(b.node('Softmax', [features(b)], { axis: 0 }), ['N', 3, 3, 4]),
      /depends on the others of the batch/,
    ));

  it('is quantized where the file does so', async () => {
    const softmax = (b: QdqGraphBuilder) => {
      const x = b.qdq(b.input('x', ['N', 8]), 0.02, 3);
      return b.node('Softmax', [b.node('Gemm', [x, b.dq([8, 5], random.int8s(40), 0.01)])], { axis: 1 });
    };
    await expectAgreement((b) => b.output(b.qdq(softmax(b), 1 / 7, -128), ['N', 5]));
    await expectAgreement((b) =>
      b.output(b.qdq(b.qdq(softmax(b), 1 / 256, -128), 0.3, 0, 'uint8'), ['N', 5]),
    );
    await expectAgreement((b) => {
      const p = softmax(b);
      b.output(p, ['N', 5]);
      b.output(
        b.node('QuantizeLinear', [p, scalar(b, 1 / 200), b.constant('z', [], Uint8Array.of(9))]),
        ['N', 5],
        'uint8',
      );
    });
    await expectAgreement((b) => {
      const quantized = b.node('QuantizeLinear', [
        softmax(b),
        scalar(b, 0.1),
        b.constant('z', [], Int8Array.of(9)),
      ]);
      b.output(b.node('DequantizeLinear', [quantized, scalar(b, 0.2), 'z']), ['N', 5]);
    });
  });

  it('is of use to other operators', () =>
    expectAgreement((b) => {
      const p = b.node('Softmax', [b.node('Flatten', [features(b)])], { axis: 1 });
      b.output(b.qdq(b.node('Gemm', [b.qdq(p, 0.01, 0), b.dq([36, 2], random.int8s(72), 0.1)]), 0.1, 0), [
        'N',
        2,
      ]);
    }));
});

describe('readers that disagree', () => {
  const negative = (b: QdqGraphBuilder, shape: readonly (number | string)[] = ['N', 6]) =>
    b.node('Neg', [b.qdq(b.input('x', shape), 0.02, 3)]);
  const narrow = (b: QdqGraphBuilder, y: string) =>
    b.output(b.qdq(b.node('Clip', [y, scalar(b, -0.1), scalar(b, 0.1)]), 0.001, 0), ['N', 6]);
  const dense = (b: QdqGraphBuilder, y: string) =>
    b.output(b.node('Gemm', [y, b.dq([6, 2], random.int8s(12), 0.1)]), ['N', 2]);

  it('a layer does not read a function with the scale of another reader', () =>
    expectAgreement((b) => {
      const y = negative(b);
      narrow(b, y);
      dense(b, y);
    }));

  it('each reader has the quantization of its own', () =>
    expectAgreement((b) => {
      const y = negative(b);
      narrow(b, y);
      dense(b, b.qdq(y, 0.02, 5));
      b.output(b.qdq(y, 0.03, 0), ['N', 6]);
      b.output(b.qdq(b.node('Abs', [y]), 0.01, -128), ['N', 6]);
    }));

  it('a pool reads a function with the scale of its own result', async () => {
    const pool = (b: QdqGraphBuilder, y: string) => b.node('MaxPool', [y], { kernel_shape: [2, 2] });
    await expectAgreement((b) => {
      const y = negative(b, ['N', 2, 4, 4]);
      b.output(b.qdq(pool(b, y), 0.001, 0), ['N', 2, 3, 3]);
      b.output(b.qdq(y, 0.02, -7), ['N', 2, 4, 4]);
      b.output(b.qdq(b.node('Clip', [y, scalar(b, -0.5)]), 0.05, 0), ['N', 2, 4, 4]);
    });
    await expectAgreement((b) => {
      const y = negative(b, ['N', 2, 4, 4]);
      const pooled = pool(b, y);
      b.output(b.qdq(pooled, 0.001, 0), ['N', 2, 3, 3]);
      b.output(b.qdq(conv(b, pooled, 2, 2), 0.1, 0), ['N', 2, 1, 1]);
    });
  });

  it('a selection of integers serves readers that quantize it otherwise, or not at all', () =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 2, 4, 4]), 0.02, 3);
      const pooled = b.node('MaxPool', [x], { kernel_shape: [2, 2] });
      b.output(b.qdq(pooled, 0.03, 0), ['N', 2, 3, 3]);
      b.output(b.qdq(b.node('Relu', [pooled]), 0.013, -128), ['N', 2, 3, 3]);
      b.output(b.qdq(conv(b, pooled, 2, 2), 0.1, 0), ['N', 2, 1, 1]);
    }));

  it('a layer serves those behind renamings and clamps, raw, in one scale or in several', async () => {
    const layer = (b: QdqGraphBuilder) => conv(b, b.qdq(b.input('x', ['N', 2, 4, 4]), 0.02, 3), 2, 2);
    await expectAgreement((b) => {
      const flat = b.node('Flatten', [layer(b)]);
      b.output(b.qdq(flat, 0.1, 0), ['N', 8]);
      b.output(b.node('Gemm', [flat, b.dq([8, 2], random.int8s(16), 0.1)]), ['N', 2]);
    });
    await expectAgreement((b) => {
      const y = layer(b);
      const flat = b.node('Flatten', [y]);
      b.output(b.qdq(y, 0.1, 0), ['N', 2, 2, 2]);
      b.output(b.qdq(flat, 0.1, 0), ['N', 8]);
      b.output(b.qdq(flat, 0.07, 0), ['N', 8]);
    });
    await expectAgreement((b) => {
      const y = layer(b);
      b.output(b.qdq(b.node('Relu', [y]), 0.1, 5), ['N', 2, 2, 2]);
      b.output(b.qdq(b.node('Clip', [y, scalar(b, -1)]), 0.1, 5), ['N', 2, 2, 2]);
    });
  });
});

describe('mixed ranks', () => {
  const vectors = (b: QdqGraphBuilder) => {
    const g = b.qdq(b.node('GlobalAveragePool', [b.qdq(b.input('x', ['N', 3, 4, 4]), 0.02, 3)]), 0.01, 3);
    return [g, b.node('Flatten', [g])] as const;
  };
  it.each(['Add', 'Sub', 'Mul', 'Max', 'Min', 'Div'])(
    '%s of [N,C,1,1] and [N,C] is no element-wise function',
    async (op) => {
      for (const batch of [1, 2]) {
        await expectRefusal(
          (b) => {
            const [g, flat] = vectors(b);
            b.output(b.qdq(b.node(op, [g, b.node('Neg', [flat])]), 0.02, 0), [batch, 3, batch, 3]);
          },
          /broadcasting is not supported|must be of one rank/,
          batch,
        );
      }
    },
  );

  it('a constant of more dimensions gives the sum its own', () =>
    expectRefusal((b) => {
      const [, flat] = vectors(b);
      b.output(b.qdq(b.node('Sub', [flat, b.constant('c', [1, 1, 1], Float32Array.of(0.25))]), 0.02, 0), [
        1,
        'N',
        3,
      ]);
    }, /makes \[1,N,3\] of \[N,3\] and \[1,1,1\]/));

  it('constants of fewer dimensions are fine', () =>
    expectAgreement((b) => {
      const [g] = vectors(b);
      b.output(b.qdq(b.node('Sub', [b.constant('c', [1, 1], Float32Array.of(0.25)), g]), 0.02, 0), [
        'N',
        3,
        1,
        1,
      ]);
    }));
});

describe('shapes of outputs', () => {
  const softmax = (b: QdqGraphBuilder, batch: number | string) => {
    const x = b.qdq(b.input('x', [batch, 8]), 0.02, 3);
    return b.node('Softmax', [b.node('Gemm', [x, b.dq([8, 16], random.int8s(128), 0.01)])], { axis: 1 });
  };

  it.each([
    ['Reshape', [4, 4], [4, 4]],
    ['Reshape', [-1], [16]],
    ['Squeeze', [0], [16]],
  ] as const)('%s to %j leaves no batch in front', (op, target, shape) =>
    expectRefusal(
      (b) => b.output(b.node(op, [softmax(b, 1), sizes(b, ...target)]), shape),
      /the batch must stay the first dimension/,
      1,
    ),
  );

  it.each([
    ['Reshape', [0, 4, 4], ['N', 4, 4]],
    ['Reshape', [-1, 2, 8], ['N', 2, 8]],
    ['Unsqueeze', [2, 3], ['N', 16, 1, 1]],
  ] as const)('%s to %j is as declared', (op, target, shape) =>
    expectAgreement((b) => b.output(b.node(op, [softmax(b, 'N'), sizes(b, ...target)]), shape)),
  );

  it('a bias of three dimensions gives three to the sum', async () => {
    const sum = (batch: number | string) => (b: QdqGraphBuilder) => {
      const x = b.qdq(b.input('x', [batch, 8]), 0.02, 3);
      const product = b.node('MatMul', [x, b.dq([8, 4], random.int8s(32), 0.01)]);
      b.output(b.node('Add', [product, b.dq([1, 1, 4], Int32Array.of(1, -900, 3, 4), 0.0002)]), [
        1,
        batch,
        4,
      ]);
    };
    await expectAgreement(sum(1), 1);
    await expectRefusal(sum('N'), /of one and a constant/);
  });

  it('integers where the file declares them', async () => {
    const quantized = (b: QdqGraphBuilder, zero: Int8Array | Uint8Array) => {
      const x = b.qdq(b.input('x', ['N', 2, 4, 4]), 0.02, 3);
      const z = b.constant('z', [], zero);
      const name = b.node('QuantizeLinear', [conv(b, x, 2, 3), scalar(b, 0.03), z]);
      b.output(name, ['N', 3, 2, 2], zero instanceof Int8Array ? 'int8' : 'uint8');
      const flat = b.node('Flatten', [name]);
      b.output(flat, ['N', 12], zero instanceof Int8Array ? 'int8' : 'uint8');
    };
    await expectAgreement((b) => quantized(b, Int8Array.of(-4)));
    await expectAgreement((b) => quantized(b, Uint8Array.of(130)));
  });
});
