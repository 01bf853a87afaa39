/** A model of which a part stays in real numbers gives the same bytes on every backend. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/model/load.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { agreementWithOrt } from '../support/agreement.ts';
import { chooseVulkanDriver } from '../support/node-gpu.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
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

/** The input is read as it is. */
function realGraph(dims: readonly number[], build: (b: QdqGraphBuilder, x: string) => string): Graph {
  const b = createQdqGraph();
  b.output(build(b, b.input('x', ['N', 3, 3, 3])), ['N', ...dims]);
  return inferShapes(b.build());
}

const quantizedConv = (b: QdqGraphBuilder, x: string) =>
  b.node('Conv', [b.qdq(x, 0.05, 3), b.dq([8, 3, 1, 1], random.int8s(24), 0.01)]);

describe.each([
  [
    'an input that a float layer reads, and a QuantizeLinear too',
    realGraph([8, 3, 3], (b, x) => {
      const conv = b.node('Conv', [x, b.constant('w', [3, 3, 3, 3], floats(81))], { pads: [1, 1, 1, 1] });
      return quantizedConv(b, b.node('Add', [b.qdq(x, 0.1, 0), conv]));
    }),
  ],
  [
    'integers of 16 bits',
    realGraph([8, 3, 3], (b, x) => {
      const parameters = [
        b.constant('scale', [], Float32Array.of(0.0001)),
        b.constant('zero', [], Int16Array.of(17)),
      ];
      const wide = b.node('DequantizeLinear', [b.node('QuantizeLinear', [x, ...parameters]), ...parameters]);
      return quantizedConv(b, wide);
    }),
  ],
  [
    'weights with scales of blocks',
    graphOf([4, 3, 3], (b, x) => {
      const weights = b.node(
        'DequantizeLinear',
        [
          b.constant('blocks', [4, 8, 1, 1], random.int8s(32)),
          b.constant(
            'scales',
            [4, 2, 1, 1],
            Float32Array.from({ length: 8 }, (_, i) => 0.01 + i / 1000),
          ),
          b.constant('zeros', [4, 2, 1, 1], random.int8s(8)),
        ],
        { axis: 1, block_size: 4 },
      );
      return b.node('Conv', [b.qdq(x, 0.05, 3), weights]);
    }),
  ],
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
      /Softmax|Mul|Transpose|Conv|QuantizeLinear/,
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

test('places of the maxima, as a SegNet reads them', async () => {
  const graph = graphOf([8, 3, 3], (b, x) => {
    const window = { kernel_shape: [2, 2] };
    const [pooled, places] = b.parts('MaxPool', 2, [b.qdq(x, 0.05, 3)], window);
    const unpooled = b.node('MaxUnpool', [b.qdq(pooled, 0.05, 3), places], window);
    const conv = b.node('Conv', [b.qdq(unpooled, 0.05, 3), b.dq([8, 8, 1, 1], random.int8s(64), 0.01)]);
    return b.qdq(conv, 0.103, 0);
  });
  const [expected] = (await runOrt(graph, new Map([['x', input]]), BATCH)).values();
  for (const backend of ['reference', 'wasm', 'webgpu'] as const) {
    using model = await loadModel(encodeModel(graph), { backend });
    const [{ data }] = Object.values((await model.run({ x: input })).outputs);
    expect(data).toEqual(expected.data);
  }
});

test('constants of places, quotients and powers of two tensors stay on the device', async () => {
  const b = createFloatGraph(5);
  const x = b.conv(b.input('x', ['N', 3, 3, 3]), 6, { kernel: 1 });
  const placed = b.node('Mul', [
    b.normal('grid', [3, 3], 0.5, 1),
    b.node('Add', [x, b.normal('places', [6, 3, 3])]),
  ]);
  const gate = b.node('Sigmoid', [b.node('GlobalAveragePool', [x])]);
  const power = b.node('Pow', [b.node('Exp', [b.clip(placed, -1, 1)]), gate]);
  const divisor = b.node('Exp', [b.clip(b.conv(x, 6, { kernel: 1 }), -1, 1)]);
  const float = b.finish(b.node('Div', [power, divisor]));
  const { graph } = await quantize(float, [{ data: input, shape: [BATCH, 3, 3, 3] }]);
  const results: Float32Array[] = [];
  for (const backend of ['reference', 'wasm', 'webgpu'] as const) {
    using model = await loadModel(graph, { backend, hostStages: false });
    const [{ data }] = Object.values((await model.run({ x: input })).outputs);
    results.push(data as Float32Array);
  }
  const [reference, ...others] = results;
  for (const other of others) expect(other).toEqual(reference);
  const feeds = new Map([['x', input]]);
  for (const { largestDifference } of await agreementWithOrt(graph, feeds, BATCH)) {
    expect(largestDifference).toBeLessThanOrEqual(1);
  }
  const [expected] = (await runOrt(float, feeds, BATCH)).values();
  expect(relativeDifference(reference, expected.data as Float32Array)).toBeLessThan(0.05);
});

test('integers that are dequantized with another scale stay on the device', async () => {
  const graph = graphOf([8, 3, 3], (b, x) => {
    const zero = (name: string, value: number) => b.constant(name, [], Int8Array.of(value));
    const scale = (name: string, value: number) => b.constant(name, [], Float32Array.of(value));
    const integers = b.node('QuantizeLinear', [x, scale('s', 0.05), zero('z', 3)]);
    const other = b.node('DequantizeLinear', [integers, scale('s2', 0.03), zero('z2', -20)]);
    return b.qdq(b.node('Conv', [other, b.dq([8, 8, 1, 1], random.int8s(64), 0.01)]), 0.1, 0);
  });
  const [expected] = (await runOrt(graph, new Map([['x', input]]), BATCH)).values();
  for (const backend of ['reference', 'wasm'] as const) {
    using model = await loadModel(graph, { backend, hostStages: false });
    const [{ data }] = Object.values((await model.run({ x: input })).outputs);
    expect(data).toEqual(expected.data);
  }
});

test('pictures and pixels of an input that is read as real values', async () => {
  const graph = realGraph([8, 3, 3], (b, x) => {
    const conv = b.node('Conv', [x, b.constant('w', [3, 3, 1, 1], floats(9))]);
    return quantizedConv(b, conv);
  });
  const preprocessing = { mean: [0.1, 0.2, 0.3], std: [0.5, 0.25, 2] };
  const pixels = Uint8Array.from({ length: 54 }, () => random.int(0, 255));
  const reals = Float32Array.from({ length: 54 }, (_, i) => {
    const [image, channel, pixel] = [Math.floor(i / 27), Math.floor((i % 27) / 9), i % 9];
    const { mean, std } = preprocessing;
    return (pixels[image * 27 + pixel * 3 + channel] / 255 - mean[channel]) / std[channel];
  });
  for (const backend of ['reference', 'wasm'] as const) {
    using model = await loadModel(graph, { backend, preprocessing });
    expect(model.inputs[0]).toMatchObject({ shape: ['N', 3, 3, 3], scale: null, zeroPoint: null });
    const [name] = model.outputs.map((each) => each.name);
    const { data } = (await model.run({ x: reals })).outputs[name];
    expect((await model.run({ x: { pixels } })).outputs[name].data).toEqual(data);
    const pictures = [0, 1].map((i) => ({
      width: 3,
      height: 3,
      data: pixels.slice(i * 27, i * 27 + 27),
    }));
    expect((await model.run({ x: pictures })).outputs[name].data).toEqual(data);
    expect((await model.verify({ x: reals })).equal).toBe(true);
    expect((await model.profile({ repetitions: 1 })).operations.length).toBeGreaterThan(2);
    await expect(model.run({ x: new Int8Array(27) })).rejects.toThrow(/pass a Float32Array/);
    await expect(model.run({ x: new Float32Array(27).fill(NaN) })).rejects.toThrow(/not a number/);
  }
});

test('integers that a host stage gives are outputs of their own type', async () => {
  const b = createQdqGraph();
  const y = b.qdq(b.input('x', ['N', 3, 3, 3]), 0.02, 0);
  const outputs = [
    [b.node('ArgMax', [y], { axis: 1, keepdims: 0 }), 'int64', Int32Array],
    [b.node('Greater', [y, b.constant('half', [], Float32Array.of(0.5))]), 'bool', Uint8Array],
    [b.node('Cast', [y], { to: 6 }), 'int32', Int32Array],
  ] as const;
  for (const [name, dtype] of outputs) {
    b.output(name, dtype === 'int64' ? ['N', 3, 3] : ['N', 3, 3, 3], dtype);
  }
  const graph = inferShapes(b.build());
  const expected = await runOrt(graph, new Map([['x', input]]), BATCH);
  for (const backend of ['reference', 'wasm', 'webgpu'] as const) {
    using model = await loadModel(encodeModel(graph), { backend });
    const results = (await model.run({ x: input })).outputs;
    for (const [name, dtype, type] of outputs) {
      expect(results[name]).toMatchObject({ dtype, shape: [...expected.get(name)!.shape] });
      expect(results[name].data).toBeInstanceOf(type);
      expect(Array.from(results[name].data)).toEqual(Array.from(expected.get(name)!.data, Number));
    }
  }
});

test('a file of batch 1 may give that dimension away, image by image', async () => {
  const b = createQdqGraph();
  const y = quantizedConv(b, b.input('x', [1, 3, 3, 3]));
  const rows = b.node('Reshape', [y, b.constant('rows', [2], BigInt64Array.of(8n, 9n))]);
  const softmax = b.node('Softmax', [rows], { axis: 0 });
  const back = b.node('Reshape', [softmax, b.constant('back', [3], BigInt64Array.of(1n, 72n, 1n))]);
  b.output(back, [1, 72, 1]);
  const graph = inferShapes(b.build());
  using model = await loadModel(graph, { backend: 'reference' });
  const { data } = (await model.run({ x: input })).outputs[back];
  const alone = [0, 1].map(async (i) => {
    const x = input.slice(i * 27, i * 27 + 27);
    return (await runOrt(graph, new Map([['x', x]]), 1)).get(back)!.data as Float32Array;
  });
  const expected = (await Promise.all(alone)).flatMap((part) => Array.from(part));
  expect(relativeDifference(data, expected)).toBeLessThan(0.02);
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
