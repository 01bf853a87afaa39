/** A model of which a part stays in real numbers gives the same bytes on every backend. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/model/load.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { chooseVulkanDriver } from '../support/node-gpu.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(6);
const BATCH = 2;
const floats = (length: number) => Float32Array.from({ length }, () => (random.next() - 0.5) * 4);
const input = floats(BATCH * 27);

beforeAll(chooseVulkanDriver);

function graphOf(dims: readonly number[], build: (b: QdqGraphBuilder, x: string) => string): Graph {
  const b = createQdqGraph();
  const x = b.qdq(b.input('x', ['N', 3, 3, 3]), 0.02, 0);
  const w = b.dq([8, 3, 1, 1], random.int8s(24), 0.01);
  b.output(build(b, b.node('Conv', [x, w])), ['N', ...dims]);
  return inferShapes(b.build());
}

describe.each([
  [
    'a tail of Reshape, Transpose, Softmax over a middle axis and Mul by constants',
    graphOf([9, 4, 2], (b, y) => {
      const boxes = b.node('Reshape', [y, b.constant('boxes', [4], BigInt64Array.of(0n, 2n, 4n, -1n))]);
      const moved = b.node('Transpose', [boxes], { perm: [0, 3, 2, 1] });
      const softmax = b.node('Softmax', [moved], { axis: 2 });
      return b.node('Mul', [softmax, b.constant('weights', [4, 1], Float32Array.of(0, 1, 2, 3))]);
    }),
  ],
  [
    'a stage between integers',
    graphOf([8, 2, 2], (b, y) => {
      const softmax = b.node('Softmax', [b.qdq(y, 0.05, 3)], { axis: 1 });
      const doubled = b.node('Mul', [softmax, b.constant('weights', [8, 1, 1], new Float32Array(8).fill(2))]);
      return b.node('MaxPool', [b.qdq(doubled, 0.01, -128)], { kernel_shape: [2, 2] });
    }),
  ],
  [
    'float layers, by the kernels of WebAssembly',
    graphOf([5], (b, y) => {
      const w = b.constant('w', [4, 8, 3, 3], floats(288));
      const conv = b.node('Conv', [b.node('Relu', [y]), w, b.constant('b', [4], floats(4))], {
        pads: [0, 1, 1, 0],
        strides: [2, 1],
      });
      const flat = b.node('Flatten', [conv]);
      const gemm = b.node('Gemm', [flat, b.constant('g', [6, 8], floats(48))], { transB: 1, alpha: 0.5 });
      return b.node('MatMul', [gemm, b.constant('m', [6, 5], floats(30))]);
    }),
  ],
])('%s', (_, graph) => {
  test('is refused where host stages are not wanted', async () => {
    await expect(loadModel(graph, { backend: 'reference', hostStages: false })).rejects.toThrow(
      /Softmax|Mul|Transpose|Conv/,
    );
  });

  test('gives the bytes of the reference on wasm and WebGPU, and agrees with ONNX Runtime', async () => {
    const results: Float32Array[] = [];
    for (const backend of ['reference', 'wasm', 'webgpu'] as const) {
      using model = await loadModel(graph, { backend });
      const { outputs } = await model.run({ x: input });
      const [{ data }] = Object.values(outputs);
      expect(data).toBeInstanceOf(Float32Array);
      results.push(data as Float32Array);
    }
    const [reference, wasm, webgpu] = results;
    expect(wasm).toEqual(reference);
    expect(webgpu).toEqual(reference);
    const [expected] = (await runOrt(graph, new Map([['x', input]]), BATCH)).values();
    expect(relativeDifference(reference, expected.data as Float32Array)).toBeLessThan(0.02);
  });
});

describe('what would make an image depend on the others of its batch is refused', () => {
  const axis = (value: bigint) => (b: QdqGraphBuilder, y: string) =>
    b.node('CumSum', [y, b.constant('axis', [], BigInt64Array.of(value))]);
  const load = (dims: readonly number[], build: (b: QdqGraphBuilder, x: string) => string) => {
    const b = createQdqGraph();
    const x = b.qdq(b.input('x', ['N', 3, 3, 3]), 0.02, 0);
    b.output(build(b, x), ['N', ...dims]);
    return loadModel(encodeModel(b.build()), { backend: 'reference' });
  };

  test.each([
    ['CumSum over the batch', [3, 3, 3], axis(0n)],
    ['CumSum over the batch, counted from the end', [3, 3, 3], axis(-4n)],
    ['MeanVarianceNormalization by default', [3, 3, 3], (b, y) => b.node('MeanVarianceNormalization', [y])],
    ['Trilu of [N, C]', [27], (b, y) => b.node('Trilu', [b.node('Flatten', [y])])],
  ] satisfies [string, number[], (b: QdqGraphBuilder, y: string) => string][])(
    '%s',
    async (_, dims, build) => {
      await expect(load(dims, build)).rejects.toThrow(/depends on the others of the batch/);
    },
  );

  test.each([
    ['CumSum over the channels', axis(1n)],
    [
      'MeanVarianceNormalization of an image',
      (b, y) => b.node('MeanVarianceNormalization', [y], { axes: [2, 3] }),
    ],
    ['Trilu of its planes', (b, y) => b.node('Trilu', [y])],
  ] satisfies [string, (b: QdqGraphBuilder, y: string) => string][])('%s is not', async (_, build) => {
    using model = await load([3, 3, 3], build);
    expect(model.hostNodes).toHaveLength(1);
  });
});
