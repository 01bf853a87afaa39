import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { agreementWithOrt, type TensorAgreement } from '../support/agreement.ts';
import { floatNets, randomFloatGraph, randomInputs } from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const BATCH = 4;

/**
 * ONNX Runtime computes a QDQ graph in float32, so a value next to a tie may round the other way. Layer by
 * layer, on the same inputs, at least 99.9 % must be equal, and none more than 1 apart.
 */
function expectAgreement(tensors: readonly TensorAgreement[]): void {
  expect(tensors.length).toBeGreaterThan(1);
  const elements = tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
  const differing = tensors.reduce((sum, tensor) => sum + tensor.differing, 0);
  const worst = tensors.filter(({ largestDifference }) => largestDifference > 1);
  expect(worst, 'tensors that differ by more than 1').toEqual([]);
  expect(differing / elements, `${differing} of ${elements} differ`).toBeLessThan(0.001);
}

describe('files of our own quantizer agree with ONNX Runtime', () => {
  async function check(graph: Graph): Promise<void> {
    const data = randomInputs(graph, 8, 1).get(graph.inputs[0].name)!;
    const shape = [8, ...graph.inputs[0].shape.slice(1).map(Number)];
    const quantized = await quantize(graph, [{ data, shape }]);
    expectAgreement(await agreementWithOrt(quantized.graph, randomInputs(graph, BATCH, 2), BATCH));
  }

  it.each(Object.entries(floatNets))('%s', async (_, build) => {
    await check(build(7));
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])('random graph %i', async (seed) => {
    await check(randomFloatGraph(seed));
  });
});

describe('files of other quantizers agree with ONNX Runtime', () => {
  const random = createRandom(5);
  const uint8s = (length: number) => Uint8Array.from({ length }, () => random.int(0, 255));
  const int32s = (length: number, most: number) => Int32Array.from({ length }, () => random.int(-most, most));

  async function check(build: (b: QdqGraphBuilder) => void): Promise<void> {
    const b = createQdqGraph();
    build(b);
    const graph = b.build();
    expectAgreement(await agreementWithOrt(graph, randomInputs(graph, BATCH, 3), BATCH));
  }

  it('uint8 activations, asymmetric uint8 weights per tensor, as quantize_static writes them', () =>
    check((b) => {
      let x = b.qdq(b.input('x', ['N', 3, 9, 8]), 0.016, 128, 'uint8');
      const w1 = b.dq([7, 3, 3, 3], uint8s(189), 0.011, { zeroPoint: [119] });
      x = b.node('Conv', [x, w1, b.dq([7], int32s(7, 3000), 0.016 * 0.011)], { pads: [1, 1, 1, 1] });
      x = b.qdq(b.node('Relu', [x]), 0.021, 0, 'uint8');
      x = b.qdq(b.node('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] }), 0.021, 0, 'uint8');
      const w2 = b.dq([6, 7, 1, 1], uint8s(42), 0.02, { zeroPoint: [130] });
      x = b.qdq(b.node('Conv', [x, w2]), 0.03, 101, 'uint8');
      x = b.qdq(b.node('GlobalAveragePool', [x]), 0.012, 110, 'uint8');
      x = b.qdq(b.node('Flatten', [x]), 0.012, 110, 'uint8');
      const w3 = b.dq([6, 5], uint8s(30), 0.017, { zeroPoint: [128] });
      x = b.qdq(b.node('Gemm', [x, w3, b.dq([5], int32s(5, 900), 0.012 * 0.017)]), 0.02, 128, 'uint8');
      b.output(x, ['N', 5]);
    }));

  it('a dense layer behind a flattened image, MatMul with Add, a weight scale a channel', () =>
    check((b) => {
      let x = b.qdq(b.input('x', ['N', 5, 3, 4]), 0.02, -7);
      const scales = Array.from({ length: 8 }, (_, c) => 0.005 + 0.001 * c);
      x = b.node('MatMul', [b.node('Flatten', [x]), b.dq([60, 8], random.int8s(480), scales, { axis: 1 })]);
      const bias = b.dq(
        [8],
        int32s(8, 2000),
        scales.map((s) => Math.fround(Math.fround(0.02) * Math.fround(s))),
      );
      x = b.qdq(b.node('Relu', [b.node('Add', [bias, x])]), 0.03, -128);
      const gemm = b.node('Gemm', [x, b.dq([4, 8], random.int8s(32), 0.01)], { transB: 1 });
      b.output(b.qdq(gemm, 0.05, 3), ['N', 4]);
    }));

  it('a max pool between a convolution and its QuantizeLinear, and behind a DequantizeLinear without one', () =>
    check((b) => {
      let x = b.qdq(b.input('x', ['N', 4, 8, 8]), 0.02, 10);
      const conv = (value: string) =>
        b.node('Conv', [
          value,
          b.dq([6, value === x ? 4 : 6, 3, 3], random.int8s(value === x ? 216 : 324), 0.01),
        ]);
      const pool = { kernel_shape: [2, 2], strides: [1, 1] };
      x = b.qdq(b.node('MaxPool', [b.node('Relu', [conv(x)])], pool), 0.04, -128);
      const w = b.dq([6, 6, 3, 3], random.int8s(324), 0.01);
      x = b.qdq(b.node('Conv', [b.node('MaxPool', [x], pool), w]), 0.05, -20);
      b.output(x, ['N', 6, 2, 2]);
    }));

  it('scales that differ across max pool, concatenation and addition; functions of one value; 4-bit clips', () =>
    check((b) => {
      const x = b.qdq(
        b.node('Clip', [b.input('x', ['N', 4, 6, 6]), b.constant('lo', [], Float32Array.of(-1)), '']),
        0.01531,
        5,
      );
      const pooled = b.qdq(b.node('MaxPool', [x], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }), 0.02013, -4);
      const averaged = b.qdq(
        b.node('AveragePool', [x], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
        0.01,
        0,
      );
      const silu = b.qdq(b.node('Mul', [x, b.node('Sigmoid', [x])]), 0.01237, -90);
      const sum = b.qdq(b.node('Relu', [b.node('Add', [pooled, averaged])]), 0.03119, -128);
      const joined = b.qdq(b.node('Concat', [sum, silu, x], { axis: 1 }), 0.02511, -30);
      const narrow = b.node('Clip', [
        joined,
        b.constant('lo4', [], Float32Array.of(-0.8)),
        b.constant('hi4', [], Float32Array.of(0.7)),
      ]);
      b.output(b.qdq(narrow, 0.1073, 0), ['N', 12, 6, 6]);
    }));

  it('a requantization with nothing between', () =>
    check((b) => {
      const x = b.qdq(b.qdq(b.input('x', ['N', 3, 5, 5]), 0.02131, 0), 0.03017, 20);
      b.output(b.qdq(b.node('Conv', [x, b.dq([4, 3, 1, 1], random.int8s(12), 0.01)]), 0.02, 1), [
        'N',
        4,
        5,
        5,
      ]);
    }));
});
