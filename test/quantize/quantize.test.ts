import { beforeAll, describe, expect, it } from 'vitest';
import { InputError, ModelError } from '../../src/errors.ts';
import type { Graph, Tensor } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { Problems } from '../../src/graph/problems.ts';
import { loadFixedModel } from '../../src/model/load.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import { calibrate, type Calibration } from '../../src/quantize/calibrate.ts';
import type { Batch } from '../../src/quantize/onnx-runtime.ts';
import { quantize, quantizeCalibrated } from '../../src/quantize/quantize.ts';
import type { RecipeInput } from '../../src/quantize/recipe.ts';
import {
  concatNet,
  convNet,
  createFloatGraph,
  floatNets,
  randomFloatGraph,
  randomInputs,
  residualNet,
  type FloatGraphBuilder,
} from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { runOrt } from '../support/ort.ts';

function batches(graph: Graph, images: number, batch: number, seed = 5): Batch[] {
  const shape = graph.inputs[0].shape.slice(1) as number[];
  const size = shape.reduce((product, dim) => product * dim, 1);
  const [data] = randomInputs(graph, images, seed).values();
  return Array.from({ length: images / batch }, (_, i) => ({
    data: data.subarray(i * batch * size, (i + 1) * batch * size),
    shape: [batch, ...shape],
  }));
}

function decibels(expected: Float32Array, actual: Float32Array): number {
  let signal = 0;
  let noise = 0;
  expected.forEach((x, i) => {
    signal += x * x;
    noise += (x - actual[i]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}

/** Signal-to-noise ratio of the quantized graph's output against the float graph's. */
async function outputSqnr(float: Graph, quantized: Graph, seed = 99): Promise<number> {
  const images = randomInputs(float, 16, seed);
  const [expected] = (await runOrt(float, images, 16)).values();
  const [actual] = (await runOrt(quantized, images, 16)).values();
  return decibels(expected.data as Float32Array, actual.data as Float32Array);
}

/** A reshape to [N, ...image] of a size that exporters compute: the batch of `x` by a Shape and a Gather. */
function reshapeLike(b: FloatGraphBuilder, x: string, to: readonly number[]): string {
  const zero = b.constant(`${x}.zero`, [1], BigInt64Array.of(0n));
  const batch = b.node('Gather', [b.node('Shape', [x]), zero], { axis: 0 });
  const image = b.constant(`${x}.image`, [to.length], BigInt64Array.from(to, BigInt));
  return b.node('Reshape', [x, b.node('Concat', [batch, image], { axis: 0 })]);
}

/** The integers of all activations of a QDQ graph, by the name of the float value. */
async function activationIntegers(graph: Graph): Promise<Map<string, Int8Array>> {
  const quantizers = graph.nodes.filter(({ op }) => op === 'QuantizeLinear');
  const exposed = {
    ...graph,
    outputs: quantizers.map(({ outputs: [name] }) => graph.values.get(name)!),
  };
  // Far beyond what was calibrated on, so that the bounds are met.
  const images = [...randomInputs(graph, 4, 3)].map(
    ([name, data]) => [name, data.map((x) => 20 * x)] as const,
  );
  const results = await runOrt(exposed, new Map(images), 4);
  return new Map(
    quantizers.map(({ inputs, outputs }) => [inputs[0], results.get(outputs[0])!.data as Int8Array]),
  );
}

function withConstant(graph: Graph, name: string, edit: (data: Float32Array) => Float32Array): Graph {
  const tensor = graph.constants.get(name)!;
  const edited: Tensor = { ...tensor, data: edit(Float32Array.from(tensor.data as Float32Array)) };
  return { ...graph, constants: new Map(graph.constants).set(name, edited) };
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => error as Error,
  );
}

describe('quantize', () => {
  for (const [name, make] of Object.entries(floatNets)) {
    it(`gives a graph that ONNX Runtime runs, near to the float graph, and that lowers to integers: ${name}`, async () => {
      const float = make(7);
      const { graph } = await quantize(float, batches(float, 32, 8));
      expect(await outputSqnr(float, graph)).toBeGreaterThan(25);
      expect(lower(graph, builtinOperators).operations.length).toBeGreaterThan(4);
      // The file says all of it.
      const again = decodeModel(encodeModel(graph));
      expect(await outputSqnr(graph, again)).toBe(Infinity);
    });
  }

  it('does so for random graphs', async () => {
    for (let seed = 100; seed < 125; seed++) {
      const float = randomFloatGraph(seed);
      const { graph } = await quantize(float, batches(float, 16, 16));
      expect(await outputSqnr(float, graph), `seed ${seed}`).toBeGreaterThan(20);
      expect(lower(graph, builtinOperators).operations.length, `seed ${seed}`).toBeGreaterThan(0);
    }
  });

  it('writes weights as int8 per channel, biases as int32 at the scale of the products, activations in pairs', async () => {
    const float = convNet(3);
    const { graph } = await quantize(float, batches(float, 16, 16));
    const constant = (name: string): Tensor => graph.constants.get(name)!;
    const producer = (name: string) => graph.nodes.find(({ outputs }) => outputs[0] === name)!;
    const layers = graph.nodes.filter(({ op }) => op === 'Conv' || op === 'Gemm');
    expect(layers).toHaveLength(4);
    for (const layer of layers) {
      const [input, weight, bias] = layer.inputs.map(producer);
      expect([input.op, weight.op, bias.op]).toEqual(Array(3).fill('DequantizeLinear'));
      const [w, s, z] = weight.inputs.map(constant);
      expect([w.dtype, s.dtype, z.dtype]).toEqual(['int8', 'float32', 'int8']);
      expect(s.shape).toEqual([w.shape[0]]);
      expect(weight.attributes.axis).toBe(0);
      expect(z.data.every((value) => Number(value) === 0)).toBe(true);
      const [b, biasScale] = bias.inputs.map(constant);
      expect(bias.inputs).toHaveLength(2);
      expect([b.dtype, b.shape]).toEqual(['int32', [w.shape[0]]]);
      const inputScale = Number(constant(input.inputs[1]).data[0]);
      expect([...(biasScale.data as Float32Array)]).toEqual(
        Array.from(s.data as Float32Array, (scale) => Math.fround(inputScale * scale)),
      );
      // Every channel reaches the largest integer.
      const size = w.data.length / w.shape[0];
      for (let c = 0; c < w.shape[0]; c++) {
        const channel = (w.data as Int8Array).subarray(c * size, (c + 1) * size);
        expect(Math.max(...channel.map(Math.abs))).toBe(127);
      }
    }
    // ReLU is in the range of its quantizer; the max pool keeps its input's scale; the logits stay float.
    const ops = graph.nodes.map(({ op }) => op);
    expect(ops).not.toContain('Relu');
    const pool = graph.nodes.find(({ op }) => op === 'MaxPool')!;
    const after = graph.nodes.find(({ inputs }) => inputs[0] === pool.outputs[0])!;
    expect(after.op).toBe('QuantizeLinear');
    expect(after.inputs.slice(1)).toEqual(producer(pool.inputs[0]).inputs.slice(1));
    expect(producer('logits').op).toBe('Gemm');
  });

  it('keeps softmax at the end in real numbers, and labels and preprocessing with the recipe beside them', async () => {
    const float = { ...concatNet(2), metadata: new Map([['labels', 'a,b']]) };
    const recipe: RecipeInput = { activations: { observer: 'percentile', percentile: 99.5 } };
    const { graph, report } = await quantize(float, batches(float, 8, 4), { recipe });
    expect(graph.nodes.at(-1)!.op).toBe('Softmax');
    expect(graph.nodes.find(({ outputs }) => outputs[0] === graph.nodes.at(-1)!.inputs[0])!.op).toBe('Gemm');
    expect(graph.metadata.get('labels')).toBe('a,b');
    expect(JSON.parse(graph.metadata.get('octet.recipe')!)).toEqual(report.recipe);
    expect(JSON.parse(graph.metadata.get('octet.calibration')!)).toEqual({ images: 8 });
  });

  it('quantizes an output that no layer computes, and keeps its name', async () => {
    const b = createFloatGraph(4);
    const x = b.relu(b.conv(b.input('input', ['N', 3, 6, 6]), 5));
    const float = b.finish(x, b.globalPool(x));
    const { graph } = await quantize(float, batches(float, 8, 8));
    expect(graph.outputs.map(({ name }) => name)).toEqual(float.outputs.map(({ name }) => name));
    for (const { name } of graph.outputs) {
      expect(graph.nodes.find(({ outputs }) => outputs[0] === name)!.op).toBe('DequantizeLinear');
    }
    expect(await outputSqnr(float, graph)).toBeGreaterThan(30);
  });

  it('takes a model of a fixed batch', async () => {
    const float = convNet(6);
    const fixed = { ...float, inputs: [{ ...float.inputs[0], shape: [4, 3, 12, 12] }], values: new Map() };
    const { report } = await quantize(fixed, batches(float, 32, 16));
    const free = await quantize(float, batches(float, 32, 4));
    expect(report.images).toBe(32);
    expect(report.layers.map(({ activation }) => activation?.observed)).toEqual(
      free.report.layers.map(({ activation }) => activation?.observed),
    );
    const error = await failure(quantize(fixed, batches(float, 6, 6)));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(/\[6, 3, 12, 12\].*"input" is \[4, 3, 12, 12\]/);
  });
});

describe('schemes', () => {
  const float = residualNet(11);
  let calibration: Calibration;
  beforeAll(async () => {
    calibration = await calibrate(float, batches(float, 32, 16));
  });

  for (const scheme of ['affine', 'symmetric'] as const) {
    it(`hold integers within N bits, whatever comes in: ${scheme}`, async () => {
      for (const bits of [2, 5, 8]) {
        const { graph } = quantizeCalibrated(calibration, {
          weights: { bits },
          activations: { bits, scheme },
          inputBits: bits,
        });
        const highest = 2 ** (bits - 1) - 1;
        const lowest = scheme === 'symmetric' && bits < 8 ? -highest : -highest - 1;
        for (const [name, integers] of await activationIntegers(graph)) {
          expect(Math.min(...integers), name).toBeGreaterThanOrEqual(lowest);
          expect(Math.max(...integers), name).toBeLessThanOrEqual(highest);
        }
        for (const { name, dtype, data } of graph.constants.values()) {
          if (dtype !== 'int8' || !name.endsWith('weight_quantized')) continue;
          expect(Math.max(...(data as Int8Array).map(Math.abs)), name).toBe(highest);
        }
        expect(() => lower(graph, builtinOperators)).not.toThrow();
      }
    });
  }

  it('keep the clamps of the float graph where the range does not imply them', async () => {
    const { graph } = quantizeCalibrated(calibration, { activations: { scheme: 'symmetric' } });
    expect(graph.nodes.filter(({ op }) => op === 'Relu').length).toBeGreaterThan(0);
    for (const { inputs, op } of graph.nodes) {
      if (op !== 'QuantizeLinear' || !inputs[0].startsWith('relu')) continue;
      const integers = (await activationIntegers(graph)).get(inputs[0])!;
      expect(Math.min(...integers)).toBe(0);
    }
    expect(await outputSqnr(float, graph)).toBeGreaterThan(25);
  });

  it('lose about 6 dB a bit', async () => {
    const sqnr: number[] = [];
    for (const bits of [8, 6, 4]) {
      const { graph } = quantizeCalibrated(calibration, {
        weights: { bits },
        activations: { bits },
        inputBits: bits,
      });
      // On images that were calibrated on, or what exceeds the range would hide the rounding.
      sqnr.push(await outputSqnr(float, graph, 5));
    }
    for (const i of [0, 1]) {
      expect(sqnr[i] - sqnr[i + 1]).toBeGreaterThan(7);
      expect(sqnr[i] - sqnr[i + 1]).toBeLessThan(17);
    }
  });

  it('per tensor give one scale a layer', async () => {
    const { graph } = quantizeCalibrated(calibration, { weights: { perChannel: false } });
    for (const { name, shape } of graph.constants.values()) {
      if (name.endsWith('weight_scale') || name.endsWith('bias_scale')) expect(shape, name).toEqual([]);
    }
    expect(await outputSqnr(float, graph)).toBeGreaterThan(20);
    expect(() => lower(graph, builtinOperators)).not.toThrow();
  });

  it('follow overrides of single layers', () => {
    const { report } = quantizeCalibrated(calibration, {
      layers: [
        { match: 'conv*', weights: { bits: 5 } },
        { match: 'conv_0', weights: { bits: 6, perChannel: false }, activations: { bits: 4 } },
        { match: 'input', activations: { bits: 7 } },
      ],
    });
    const of = (name: string) => report.layers.find((layer) => layer.name === name)!;
    expect(of('conv_0').weights).toMatchObject({ bits: 6, perChannel: false });
    expect(of('conv_0').activation).toMatchObject({ bits: 4 });
    expect(of('input').activation).toMatchObject({ bits: 7 });
    const others = report.layers.filter(({ name, weights }) => name !== 'conv_0' && weights);
    expect(new Set(others.map(({ weights }) => weights!.bits))).toEqual(new Set([5, 8]));
    const misspelt: RecipeInput = { layers: [{ match: 'konv_0' }] };
    expect(() => quantizeCalibrated(calibration, { weights: { bits: 1 } })).toThrow(InputError);
    expect(() => quantizeCalibrated(calibration, misspelt)).toThrow(/"konv_0" matches no layer/);
  });

  it('leave layers in float, which run on the CPU, with the same bytes on every backend', async () => {
    const float = residualNet(3);
    const [kept, ...others] = float.nodes.filter(({ op }) => op === 'Conv').map(({ name }) => name);
    const recipe: RecipeInput = {
      weights: { bits: 4 },
      layers: [
        { match: '*', float: false },
        { match: kept, float: true },
      ],
    };
    const images = batches(float, 8, 4);
    const { graph, report } = await quantize(float, images, { recipe });
    expect(report.layers.find(({ name }) => name === kept)).not.toHaveProperty('weights');
    expect(report.layers.find(({ name }) => name === others[0])?.weights).toMatchObject({ bits: 4 });
    const input = { input: images[0].data };
    const run = async (backend: 'reference' | 'wasm') => {
      using model = await loadFixedModel(encodeModel(graph), { backend });
      expect(model.hostNodes.map(({ name }) => name)).toContain(kept);
      return Object.values((await model.run(input)).outputs)[0].data;
    };
    const reference = await run('reference');
    expect(await run('wasm')).toEqual(reference);
    const [theirs] = (await runOrt(graph, new Map([['input', images[0].data]]), 4)).values();
    expect(decibels(theirs.data as Float32Array, reference as Float32Array)).toBeGreaterThan(30);
  });
});

describe('the report', () => {
  it('says of every layer what was quantized and how well', async () => {
    const float = convNet(8);
    const { report } = await quantize(float, batches(float, 32, 16), {
      recipe: { activations: { observer: 'minmax' } },
    });
    expect(report.layers.map(({ op }) => op)).toEqual([
      'Input',
      'Conv+Relu',
      'MaxPool',
      'Conv+Relu',
      'MaxPool',
      'GlobalAveragePool',
      'Flatten',
      'Gemm+Relu',
      'Gemm',
    ]);
    for (const { op, activation, weights } of report.layers) {
      if (op === 'Gemm') expect(activation).toBeUndefined();
      else {
        expect(activation!.sqnr).toBeGreaterThan(30);
        expect(activation!.sqnr).toBeLessThan(60);
        expect(activation!.clippedShare).toBe(0);
        expect(activation!.observed.max).toBeLessThanOrEqual(activation!.range.max * 1.01);
      }
      if (weights) {
        expect(weights.sqnr).toBeGreaterThan(35);
        expect(weights.sqnr).toBeLessThan(60);
        expect(weights.scale.max * 127).toBeCloseTo(weights.largest, 6);
      }
    }
    expect(report.images).toBe(32);
    expect(report.quantizedBytes).toBeLessThan(report.floatBytes);
  });

  it('measures an activation as the quantized values themselves would', async () => {
    const b = createFloatGraph(9);
    const float = b.finish(b.relu(b.conv(b.input('input', ['N', 2, 8, 8]), 3)));
    const images = batches(float, 64, 64);
    const { graph, report } = await quantize(float, images, { recipe: { activations: { bits: 5 } } });
    const [{ data }] = (await runOrt(float, new Map([['input', images[0].data]]), 64)).values();
    const { scale, zeroPoint, sqnr } = report.layers[1].activation!;
    const rounded = Float32Array.from(data as Float32Array, (x) => {
      const q = Math.min(Math.max(Math.round(x / scale) + zeroPoint, -16), 15);
      return (q - zeroPoint) * scale;
    });
    expect(sqnr).toBeCloseTo(decibels(data as Float32Array, rounded), 1);
    expect(graph.nodes.some(({ op }) => op === 'Clip')).toBe(true);
  });
});

describe('odd models', () => {
  it('with channels and layers of zeros and huge biases get sound scales', async () => {
    const float = convNet(12);
    const weightNames = [...float.constants.keys()].filter((name) => name.endsWith('.weight'));
    const [firstConv] = weightNames;
    const lastDense = weightNames.at(-1);
    let odd = withConstant(float, firstConv, (data) => data.fill(0, 0, 27).fill(1e-30, 27, 54));
    odd = withConstant(odd, 'conv_0.bias', (data) => data.fill(1e6, 0, 3));
    odd = withConstant(odd, lastDense, (data) => data.fill(0));
    const { graph, report } = await quantize(odd, batches(float, 16, 16));
    for (const { name, data } of graph.constants.values()) {
      if (!name.endsWith('scale')) continue;
      for (const scale of data as Float32Array) {
        expect(scale, name).toBeGreaterThanOrEqual(2 ** -126);
        expect(scale, name).toBeLessThan(Infinity);
      }
    }
    for (const { weights } of report.layers) if (weights) expect(weights.sqnr).not.toBeNaN();
    expect(await outputSqnr(odd, graph)).toBeGreaterThan(20);
    expect(() => lower(graph, builtinOperators)).not.toThrow();
  });

  it('with constant activations get sound scales', async () => {
    const b = createFloatGraph(1);
    const x = b.relu(b.conv(b.input('input', ['N', 1, 4, 4]), 2));
    const float = withConstant(
      withConstant(b.finish(b.gemm(b.globalPool(x), 3)), 'conv_0.weight', (data) => data.fill(0)),
      'conv_0.bias',
      (data) => data.fill(-1),
    );
    const { graph } = await quantize(float, batches(float, 4, 4));
    expect(await outputSqnr(float, graph)).toBeGreaterThan(40);
  });

  it('with a bias beyond 16 bits have it clipped where the recipe says so', async () => {
    const b = createFloatGraph(1);
    const inputs = [
      b.input('x', ['N', 1, 2, 2]),
      b.constant('w', [2, 1, 1, 1], Float32Array.of(0.5, 0.01)),
      b.constant('b', [2], Float32Array.of(0.125, -40)),
    ];
    const graph = b.finish(b.node('Conv', inputs));
    const image: Batch = { data: Float32Array.of(-1, 0.5, 1, 0), shape: [1, 1, 2, 2] };
    const biasOf = async (recipe: RecipeInput) => {
      const { graph: quantized } = await quantize(graph, [image], { recipe });
      return [...[...quantized.constants.values()].find(({ dtype }) => dtype === 'int32')!.data].map(Number);
    };
    const [small, large] = await biasOf({ preset: 'symmetricTensor', biasBits: 32 });
    expect(large).toBeLessThan(-(2 ** 15));
    expect(await biasOf({ preset: 'symmetricTensor' })).toEqual([small, -(2 ** 15)]);
  });

  it('with a bias that no int32 at the scale of its weights can hold get a wider scale', async () => {
    const b = createFloatGraph(2);
    const float = withConstant(b.finish(b.conv(b.input('input', ['N', 2, 5, 5]), 3)), 'conv_0.bias', (data) =>
      data.fill(5e5, 1, 2),
    );
    const tiny = withConstant(float, 'conv_0.weight', (data) => data.map((w) => w * 1e-6));
    const { graph } = await quantize(tiny, batches(tiny, 4, 4));
    const bias = graph.constants.get('conv_0_bias_quantized')!.data as Int32Array;
    const scale = graph.constants.get('conv_0_bias_scale')!.data as Float32Array;
    expect(Math.max(...bias.map(Math.abs))).toBeLessThanOrEqual(1.001 * 2 ** 30);
    expect(bias[1] * scale[1]).toBeCloseTo(5e5, 2);
  });

  it('with NaN or infinite weights are refused, every layer named', async () => {
    const float = convNet(13);
    const names = [...float.constants.keys()].filter(
      (name) => name.endsWith('.weight') && name.startsWith('gemm'),
    );
    let bad = withConstant(float, names[0], (data) => data.fill(NaN, 5, 6));
    bad = withConstant(
      bad,
      [...float.constants.keys()].find((name) => name.startsWith('matmul'))!,
      (data) => data.fill(Infinity, 0, 1),
    );
    const error = await failure(quantize(bad, batches(float, 4, 4)));
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).problems.map(({ op, reason }) => [op, reason.slice(0, 28)])).toEqual([
      ['Gemm', 'its weights hold NaN at inde'],
      ['Gemm', 'its weights hold Infinity at'],
    ]);
  });

  it('that compute NaN or infinity are refused, the first such node named', async () => {
    const b = createFloatGraph(3);
    const x = b.conv(b.input('input', ['N', 2, 5, 5]), 3);
    const float = b.finish(b.conv(b.node('Log', [x]), 2));
    const error = await failure(quantize(float, batches(float, 4, 4)));
    expect(error).toBeInstanceOf(ModelError);
    expect(error.message).toMatch(/^Log "log_1": computes (NaN|-Infinity)/);
  });

  it('that are quantized already, or compute nothing, are refused', async () => {
    const float = convNet(15);
    const { graph } = await quantize(float, batches(float, 2, 2));
    expect((await failure(quantize(graph, batches(float, 2, 2)))).message).toMatch(/quantized already/);
    const b = createFloatGraph(3);
    const empty = b.finish(b.input('input', ['N', 3, 12, 12]));
    expect((await failure(quantize(empty, batches(float, 2, 2)))).message).toMatch(/nothing to quantize/);
    const inputs = float.inputs.map((info) => ({ ...info, dtype: 'uint8' as const }));
    const integer = { ...float, inputs };
    expect((await failure(quantize(integer, batches(float, 2, 2)))).message).toMatch(
      /"input" is uint8: only/,
    );
  });

  it('with several inputs are refused', async () => {
    const b = createFloatGraph(3);
    const float = b.finish(b.node('Add', [b.input('a', ['N', 2, 4, 4]), b.input('b', ['N', 2, 4, 4])]));
    expect((await failure(quantize(float, batches(float, 4, 4)))).message).toMatch(/has 2: a, b/);
  });
});

describe('a batch normalization that no layer before it can take in', () => {
  const parts = ['scale', 'bias', 'mean', 'variance'];
  const normalized = (b: QdqGraphBuilder, x: string, channels: number) => {
    const parameters = parts.map((part, i) =>
      b.constant(
        part,
        [channels],
        Float32Array.from({ length: channels }, (_, c) => 0.5 + 0.3 * Math.sin(5 * c + i)),
      ),
    );
    return b.node('Relu', [b.node('BatchNormalization', [x, ...parameters])]);
  };
  const pooling = { kernel_shape: [2, 2], strides: [2, 2] };

  it.each<[string, readonly number[], (b: QdqGraphBuilder, x: string) => string]>([
    ['an input', [4, 6, 6], (b, x) => normalized(b, x, 4)],
    ['a sum', [4, 6, 6], (b, x) => normalized(b, b.node('Add', [x, b.node('Tanh', [x])]), 4)],
    ['a pool', [4, 6, 6], (b, x) => normalized(b, b.node('MaxPool', [x], pooling), 4)],
    [
      'joined',
      [4, 6, 6],
      (b, x) => normalized(b, b.node('Concat', [b.node('Tanh', [x]), x], { axis: 1 }), 8),
    ],
    ['transposed', [6, 6, 4], (b, x) => normalized(b, b.node('Transpose', [x], { perm: [0, 3, 1, 2] }), 4)],
    ['features', [8], (b, x) => normalized(b, x, 8)],
    ['a signal', [4, 20], (b, x) => normalized(b, x, 4)],
    ['a volume', [4, 3, 4, 5], (b, x) => normalized(b, x, 4)],
  ])('of %s runs in integers, near float', async (_, shape, build) => {
    const b = createQdqGraph();
    b.output(build(b, b.input('x', ['N', ...shape])), []);
    const graph = inferShapes(b.build(), new Problems());
    const images = batches(graph, 4, 4);
    const { graph: quantized } = await quantize(graph, images);
    using model = await loadFixedModel(quantized, { backend: 'reference' });
    expect(model.program.operations.filter(({ kind }) => kind === 'host')).toEqual([]);
    const { outputs } = await model.run({ x: images[0].data });
    const [expected] = (await runOrt(graph, new Map([['x', images[0].data]]), 4)).values();
    const [actual] = Object.values(outputs);
    expect(decibels(expected.data as Float32Array, actual.data as Float32Array)).toBeGreaterThan(30);
  });
});

describe('bad images', () => {
  const float = convNet(14);

  it('are refused: none, NaN, the wrong shape, the wrong length', async () => {
    const [good] = batches(float, 4, 4);
    const cases: [Batch[], RegExp][] = [
      [[], /calibration set is empty/],
      [[{ ...good, data: good.data.map((x, i) => (i === 7 ? NaN : x)) }], /an image holds NaN/],
      [[{ data: good.data, shape: [4, 12, 3, 12] }], /\[4, 12, 3, 12\].*"input" is \[N, 3, 12, 12\]/],
      [[{ data: good.data.subarray(1), shape: good.shape }], /1727 values/],
      [[{ data: new Float32Array(0), shape: [0, 3, 12, 12] }], /0 values/],
    ];
    for (const [images, message] of cases) {
      const error = await failure(quantize(float, images));
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toMatch(message);
    }
  });

  it('may come from an asynchronous source, with progress, and be aborted between batches', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    async function* source(): AsyncGenerator<Batch> {
      for (const batch of batches(float, 8, 2)) {
        await Promise.resolve();
        yield batch;
      }
    }
    const seen: number[] = [];
    const error = await failure(
      quantize(float, source(), {
        signal: controller.signal,
        imageCount: 8,
        onProgress(event) {
          if (event.stage !== 'calibrate') return;
          expect(event.total).toBe(8);
          seen.push(event.done);
          if (event.done === 4) controller.abort(reason);
        },
      }),
    );
    expect(error).toBe(reason);
    expect(seen).toEqual([2, 4]);
  });
});

it('leaves the sizes of a Reshape alone, which are no activations', async () => {
  const b = createFloatGraph(3);
  const features = b.conv(b.input('input', ['N', 3, 6, 6]), 4);
  const again = b.conv(b.relu(reshapeLike(b, features, [4, 6, 6])), 4);
  const logits = reshapeLike(b, b.gemm(b.globalPool(again), 6), [2, 3]);
  const graph = decodeModel(encodeModel(b.finish(logits)));
  expect(graph.nodes.some(({ op }) => op === 'Shape')).toBe(true);
  const { graph: quantized } = await quantize(graph, batches(graph, 8, 4));
  expect(await outputSqnr(graph, quantized)).toBeGreaterThan(20);
  const program = lower(decodeModel(encodeModel(quantized)), builtinOperators);
  expect(program.outputs).toMatchObject([{ shape: [2, 3] }]);
});
