/** Quantization where a small mistake costs accuracy, not correctness, so that no error would show it. */
import { describe, expect, it, test } from 'vitest';
import { optimize } from '../../src/graph/passes/optimize.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { calibrate } from '../../src/quantize/calibrate.ts';
import { compareModels } from '../../src/quantize/compare.ts';
import { equalize } from '../../src/quantize/equalize.ts';
import { findLayers } from '../../src/quantize/layers.ts';
import { clippedShare, observers, squaredError } from '../../src/quantize/observers.ts';
import { quantizeCalibrated, type QuantizationResult } from '../../src/quantize/quantize.ts';
import { checkOverrides, parseRecipe, type RecipeInput, weightRecipe } from '../../src/quantize/recipe.ts';
import { chooseParameters } from '../../src/quantize/scheme.ts';
import { ActivationStatistics } from '../../src/quantize/statistics.ts';
import { quantizeLayer } from '../../src/quantize/weights.ts';
import { createFloatGraph, type FloatGraphBuilder, randomInputs } from '../support/onnx-models.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';
import { createRandom } from '../support/random.ts';

const IMAGES = 8;

function observe(values: ArrayLike<number>): ActivationStatistics {
  const statistics = new ActivationStatistics(0.5);
  statistics.add(Float32Array.from(values), [1, 1, values.length]);
  return statistics;
}

function graphOf(build: (b: FloatGraphBuilder, x: string) => string | readonly string[]): Graph {
  const b = createFloatGraph(61);
  return b.finish(...[build(b, b.input('input', ['N', 4, 6, 6]))].flat());
}

async function quantized(graph: Graph, recipe: RecipeInput = {}): Promise<QuantizationResult> {
  const data = randomInputs(graph, IMAGES, 1).get('input')!;
  const shape = [IMAGES, ...graph.inputs[0].shape.slice(1).map(Number)];
  return quantizeCalibrated(await calibrate(graph, [{ data, shape }], { recipe }), recipe);
}

const output = async (graph: Graph): Promise<Float32Array> => {
  const [result] = (await runOrt(graph, randomInputs(graph, IMAGES, 2), IMAGES)).values();
  return result.data as Float32Array;
};

const ops = ({ graph }: QuantizationResult): string[] => graph.nodes.map(({ op }) => op);

describe('statistics', () => {
  test.each([1, -1, 2 ** 20, 2 ** -149, -(2 ** 127)])(
    'count a value on the edge of the bins: %d',
    (value) => {
      const { counts, first, binWidth } = observe([value]).histogram();
      expect([...counts]).toEqual([1]);
      expect(value).toBeGreaterThanOrEqual(first * binWidth);
      expect(value).toBeLessThan((first + 1) * binWidth);
    },
  );

  it('average from the first image on, not from 0', () => {
    expect(observers.movingAverage(observe([3, 5]))).toEqual({ min: 3, max: 5 });
  });
});

describe('observers', () => {
  it('count the spread of the values within a bin', () => {
    // A thousand values spread over one bin whose middle the quantizer represents.
    const values = Array.from({ length: 1000 }, (_, i) => (i + 0.5) / 1000);
    const histogram = { counts: Float64Array.of(1000), first: 0, binWidth: 1, zeros: 0 };
    const exact = values.reduce((sum, x) => sum + (x - 0.5) ** 2, 0);
    const parameters = { scale: 0.5, zeroPoint: 0, qmin: -128, qmax: 127 };
    expect(squaredError(histogram, parameters) / exact).toBeCloseTo(1, 4);
  });

  it('count zeros among the values that are not clipped', () => {
    const histogram = { counts: Float64Array.of(1), first: 1000, binWidth: 1, zeros: 3 };
    expect(clippedShare(histogram, { scale: 1, zeroPoint: 0, qmin: -128, qmax: 127 })).toBe(0.25);
  });

  test.each([1, -1])('count zeros in percentiles, beside values of one sign far from zero: %i', (sign) => {
    // 90 zeros, 1 to 10: a twentieth of the values is above 5.
    const values = Array.from({ length: 100 }, (_, i) => sign * Math.max(0, i - 89));
    const { min, max } = observers.percentile(observe(values), { bits: 8, scheme: 'affine', percentile: 95 });
    const [near, far] = sign > 0 ? [min, max] : [-max, -min];
    expect(Math.abs(near)).toBe(0);
    expect(far).toBeGreaterThanOrEqual(5);
    expect(far).toBeLessThan(6.01);
  });

  it('give −x the mirrored range of x', () => {
    const random = createRandom(7);
    for (let run = 0; run < 4; run++) {
      // Up to 1.9: more bins than thresholds are tried on, so that pairs are merged.
      const values = Array.from({ length: 3000 }, () => 1.9 * random.next() ** (1 + (run % 4)));
      const mixed = values.map((x, i) => (run % 3 === 0 && i % 5 === 0 ? -x / 2 : x));
      for (const bits of [3, 8]) {
        for (const scheme of ['affine', 'symmetric'] as const) {
          const options = { bits, scheme, percentile: 99 };
          const { min, max } = observers.entropy(observe(mixed), options);
          const mirrored = observers.entropy(observe(mixed.map((x) => -x)), options);
          expect([-mirrored.max, -mirrored.min]).toEqual([min, max]);
        }
      }
    }
  });

  it('use one side of a symmetric quantizer for values of one sign, and all of an affine one', () => {
    const random = createRandom(3);
    const values = Array.from({ length: 3000 }, () => -Math.log(1 - random.next()));
    const threshold = (bits: number, scheme: 'affine' | 'symmetric') =>
      observers.entropy(observe(values), { bits, scheme, percentile: 99 }).max;
    expect(threshold(5, 'symmetric')).toBe(threshold(4, 'affine'));
    expect(threshold(5, 'symmetric')).not.toBe(threshold(5, 'affine'));
  });
});

describe('weights', () => {
  const layerOf = (weights: readonly number[], bias: readonly number[], channels: number) => {
    const b = createFloatGraph(1);
    const inputs = weights.length / channels;
    const w = b.constant('w', [channels, inputs, 1, 1], Float32Array.from(weights));
    const x = b.input('input', ['N', inputs, 2, 2]);
    const y = b.node('Conv', [x, w, b.constant('bias', [channels], Float32Array.from(bias))]);
    return [...findLayers(optimize(b.finish(y))).weighted.values()][0];
  };
  const recipe = parseRecipe().weights;

  it('have scales of at least 2^-24 of the largest channel’s, and that of the largest where a channel is 0', () => {
    const { scales } = quantizeLayer(
      layerOf([127, 127 * 2 ** -23, 127 * 2 ** -30, 0], [0, 0, 0, 0], 4),
      1,
      recipe,
    );
    expect([...scales]).toEqual([1, 2 ** -23, 2 ** -24, 1]);
  });

  it('have the scale 1 where weights and bias are all 0', () => {
    expect([...quantizeLayer(layerOf([0, 0], [0, 0], 2), 0.5, recipe).scales]).toEqual([1, 1]);
  });

  it('leave half of int32 to the products, by a larger scale where the bias is large', () => {
    const { scales, bias, weights } = quantizeLayer(layerOf([1, 1], [2 ** 40, 0], 2), 1, recipe);
    expect(Math.abs(bias[0])).toBeLessThanOrEqual(2 ** 30);
    expect(Math.abs(bias[0])).toBeGreaterThan(2 ** 29);
    expect(scales[0]).toBe(2 ** 10);
    expect([...weights]).toEqual([0, 127]);
  });

  it('are rounded again where the corrected bias needs a larger scale', () => {
    const layer = layerOf([1, 1], [0, 0], 2);
    const { scales, weights } = quantizeLayer(layer, 1, recipe, () => Float64Array.of(2 ** 36, 0));
    expect(scales[0]).toBe(2 ** 6);
    expect([...weights]).toEqual([0, 127]);
  });
});

describe('equalize', () => {
  const expectUnchanged = async (graph: Graph): Promise<Graph> => {
    const float = optimize(graph);
    const equalized = equalize(float);
    expect(relativeDifference(await output(equalized), await output(float))).toBeLessThan(1e-5);
    return equalized;
  };

  it('leaves what depthwise layers of two outputs a channel compute, and balances them', async () => {
    const graph = graphOf((b, x) => b.conv(b.relu(b.conv(x, 4)), 8, { group: 4, kernel: 3 }));
    const equalized = await expectUnchanged(graph);
    expect(equalized.constants.size).toBe(optimize(graph).constants.size);
    const [first, second] = [...findLayers(equalized).weighted.values()];
    const range = (data: Float32Array, size: number, c: number) =>
      Math.max(...data.subarray(c * size, (c + 1) * size).map(Math.abs));
    for (let c = 0; c < 4; c++) {
      const own = range(first.weights.data as Float32Array, 36, c);
      const next = range(second.weights.data as Float32Array, 18, c);
      expect(own / next).toBeCloseTo(1, 2);
    }
  });

  it('leaves layers in groups of several channels alone', async () => {
    const graph = graphOf((b, x) => b.conv(b.relu(b.conv(x, 4)), 4, { group: 2 }));
    const equalized = await expectUnchanged(graph);
    const weights = [...findLayers(equalized).weighted.values()].map((layer) => layer.weights.data);
    const before = [...findLayers(optimize(graph)).weighted.values()].map((layer) => layer.weights.data);
    expect(weights).toEqual(before);
  });

  it('leaves a channel alone that the next layer does not read', async () => {
    const graph = graphOf((b, x) => b.conv(b.relu(b.conv(x, 4)), 5, { kernel: 1 }));
    const [, second] = findLayers(optimize(graph)).weighted.values();
    const data = Float32Array.from(second.weights.data as Float32Array, (w, i) => (i % 4 === 2 ? 0 : w));
    const constants = new Map(graph.constants).set(second.weights.name, { ...second.weights, data });
    await expectUnchanged({ ...graph, constants });
  });
});

describe('the QDQ graph', () => {
  it('has no Clip where a symmetric quantizer of 8 bits leaves −128 to saturation', async () => {
    const graph = graphOf((b, x) => b.gemm(b.globalPool(b.conv(b.relu(b.conv(x, 5)), 5)), 3));
    const recipe = { activations: { scheme: 'symmetric' } } as const;
    expect(ops(await quantized(graph, recipe))).not.toContain('Clip');
  });

  it('clips from above too, where a clamp ends below the largest integer', async () => {
    const graph = graphOf((b, x) => b.conv(b.clip(b.conv(x, 5), 0, 0.5), 3));
    const recipe = { activations: { scheme: 'symmetric', observer: 'minmax', bits: 4 } } as const;
    const result = await quantized(graph, recipe);
    const clip = result.graph.nodes.find(({ op }) => op === 'Clip')!;
    const [lo, hi] = clip.inputs.slice(1).map((name) => result.graph.constants.get(name)!.data[0]);
    expect([lo, hi]).toEqual([0, 0.5]);
  });

  it('quantizes a value that is an output and is read as well', async () => {
    const result = await quantized(
      graphOf((b, x) => {
        const y = b.conv(x, 4);
        return [y, b.conv(y, 3)];
      }),
    );
    const [first, second] = result.graph.outputs.map(
      ({ name }) => result.graph.nodes.find(({ outputs }) => outputs[0] === name)!.op,
    );
    expect([first, second]).toEqual(['DequantizeLinear', 'Conv']);
  });

  it('keeps one scale through several selections in a row', async () => {
    const { graph } = await quantized(
      graphOf((b, x) => b.conv(b.maxPool(b.maxPool(b.relu(b.conv(x, 4)), { stride: 1 }), { stride: 1 }), 3)),
    );
    const pairs = graph.nodes.filter(({ op }) => op === 'QuantizeLinear');
    const behindPools = pairs.filter(({ inputs }) =>
      graph.nodes.some(({ op, outputs }) => op === 'MaxPool' && outputs[0] === inputs[0]),
    );
    expect(behindPools).toHaveLength(2);
    expect(new Set(behindPools.map(({ inputs }) => inputs[1])).size).toBe(1);
  });

  it('quantizes the operands of a sum of two functions of one value', async () => {
    const result = await quantized(
      graphOf((b, x) => {
        const y = b.conv(x, 4);
        return b.conv(b.node('Add', [b.node('Sigmoid', [y]), b.node('Tanh', [y])]), 3);
      }),
    );
    // The input, the convolution, both functions, the sum.
    expect(ops(result).filter((op) => op === 'QuantizeLinear')).toHaveLength(5);
  });

  it('gives inputs their own bits', async () => {
    const graph = graphOf((b, x) => b.conv(b.relu(b.conv(x, 4)), 3));
    const { report } = await quantized(graph, { activations: { bits: 4 }, inputBits: 6 });
    expect(report.layers.map(({ activation }) => activation?.bits)).toEqual([6, 4, undefined]);
  });

  it('reports no weight as clipped where each channel has the scale of its largest', async () => {
    const graph = graphOf((b, x) => b.conv(b.relu(b.conv(x, 4)), 3));
    for (const bits of [2, 8]) {
      const { report } = await quantized(graph, { weights: { bits } });
      expect(report.layers.flatMap(({ weights }) => weights?.clippedShare ?? [])).toEqual([0, 0]);
    }
  });
});

describe('recipes', () => {
  it('take a dot in a pattern for a dot', () => {
    const recipe = parseRecipe({ layers: [{ match: 'conv.1', weights: { bits: 4 } }] });
    expect(weightRecipe(recipe, ['conv.1']).bits).toBe(4);
    expect(weightRecipe(recipe, ['conv_1']).bits).toBe(8);
    expect(() => checkOverrides(recipe, [['conv_1']])).toThrow(/matches no layer/);
  });
});

describe('comparison of models', () => {
  it('gives a cosine of 0 where only one of two values is all 0', async () => {
    const graph = graphOf((b, x) => {
      const y = b.conv(x, 4, { bias: false });
      return [y, b.relu(y)];
    });
    const zeros = new Map(
      [...graph.constants].map(([name, tensor]) => [
        name,
        { ...tensor, data: new Float32Array(tensor.data.length) },
      ]),
    );
    const data = randomInputs(graph, 2, 1).get('input')!;
    const images = [{ data, shape: [2, 4, 6, 6] }];
    const other = await compareModels(graph, { ...graph, constants: zeros }, images);
    expect(other.map(({ cosine }) => cosine)).toEqual([0, 0]);
    const same = await compareModels({ ...graph, constants: zeros }, { ...graph, constants: zeros }, images);
    expect(same.map(({ cosine }) => cosine)).toEqual([1, 1]);
  });
});

describe('the range with the least squared error', () => {
  it('keeps a width, and zero, however the values lie', () => {
    for (const values of [
      [1, 1, 1, 1],
      [-2, -2, -2],
      [1e-30, 1e-30],
      [5, -5],
    ]) {
      const range = observers.mse(observe(values), { bits: 8, scheme: 'affine', percentile: 99 });
      expect(range.max).toBeGreaterThan(range.min);
      const { scale } = chooseParameters(range, 8, 'affine');
      expect(scale).toBeLessThanOrEqual((2 * Math.max(...values.map(Math.abs))) / 100);
    }
  });
});
