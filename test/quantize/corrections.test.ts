import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { biasCorrection } from '../../src/quantize/bias-correction.ts';
import { calibrate } from '../../src/quantize/calibrate.ts';
import { equalize } from '../../src/quantize/equalize.ts';
import { findLayers } from '../../src/quantize/layers.ts';
import { quantizeCalibrated } from '../../src/quantize/quantize.ts';
import { parseRecipe } from '../../src/quantize/recipe.ts';
import { dequantizeWeights, quantizeLayer } from '../../src/quantize/weights.ts';
import { convNet, createFloatGraph, mobileNet, randomInputs, residualNet } from '../support/onnx-models.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';

const IMAGES = 64;

async function run(graph: Graph, seed: number): Promise<Float32Array> {
  const [result] = (await runOrt(graph, randomInputs(graph, IMAGES, seed), IMAGES)).values();
  return result.data as Float32Array;
}

/** Mean over images and positions of each channel of [N, C, …]. */
function channelMeans(data: Float32Array, channels: number): number[] {
  const plane = data.length / (IMAGES * channels);
  const means = new Array<number>(channels).fill(0);
  data.forEach((value, i) => {
    means[Math.floor(i / plane) % channels] += value / (IMAGES * plane);
  });
  return means;
}

describe('biasCorrection', () => {
  for (const [name, options] of Object.entries({
    'padding around a small image': { kernel: 3, pads: 1 },
    'stride and uneven padding': { kernel: 3, stride: 2, pads: [1, 0, 0, 1] },
    dilation: { kernel: 3, dilation: 2, pads: 2 },
    groups: { kernel: 3, group: 2, pads: 1 },
    depthwise: { kernel: 3, group: 4, pads: 1 },
  })) {
    it(`takes the mean shift of coarse weights back: ${name}`, async () => {
      const b = createFloatGraph(21);
      const channels = 8;
      const float = optimize(b.finish(b.conv(b.input('input', ['N', 4, 6, 6]), channels, options)));
      const layer = [...findLayers(float).weighted.values()][0];
      const recipe = parseRecipe({ weights: { bits: 3 } }).weights;
      // Every pixel is its channel's mean, so that the correction should be exact.
      const means = Float64Array.of(1.5, -0.75, 2, 0.5);
      const images = new Float32Array(IMAGES * 4 * 36).map((_, i) => means[Math.floor(i / 36) % 4]);
      const { weights, scales } = quantizeLayer(layer, 0.01, recipe);
      const rounded = dequantizeWeights(weights, scales);
      const correction = biasCorrection(float, layer, rounded, means);
      const evaluate = async (data: Float32Array, bias: Float32Array): Promise<number[]> => {
        const constants = new Map(float.constants);
        constants.set(layer.weights.name, { ...layer.weights, data });
        const biasName = layer.node.inputs[2];
        constants.set(biasName, { ...constants.get(biasName)!, data: bias });
        const graph = { ...float, constants };
        const [result] = (await runOrt(graph, new Map([['input', images]]), IMAGES)).values();
        return channelMeans(result.data as Float32Array, channels);
      };
      const expected = await evaluate(layer.weights.data as Float32Array, layer.bias);
      const shifted = await evaluate(rounded, layer.bias);
      const corrected = await evaluate(
        rounded,
        layer.bias.map((value, c) => value + correction[c]),
      );
      expect(relativeDifference(shifted, expected)).toBeGreaterThan(0.01);
      expect(relativeDifference(corrected, expected)).toBeLessThan(1e-5);
    });
  }

  it('brings the mean of a network of coarse weights nearer to the float mean', async () => {
    const float = convNet(22);
    const [data] = randomInputs(float, IMAGES, 1).values();
    const calibration = await calibrate(float, [{ data, shape: [IMAGES, 3, 12, 12] }]);
    const expected = channelMeans(await run(float, 1), 10);
    const error = async (bias: boolean): Promise<number> => {
      const { graph } = quantizeCalibrated(calibration, { weights: { bits: 3 }, corrections: { bias } });
      const actual = channelMeans(await run(graph, 1), 10);
      return expected.reduce((sum, mean, c) => sum + (mean - actual[c]) ** 2, 0);
    };
    expect(await error(true)).toBeLessThan(0.25 * (await error(false)));
  });
});

describe('equalize', () => {
  for (const [name, make] of Object.entries({ convNet, residualNet, mobileNet })) {
    it(`leaves what the network computes, in all layers: ${name}`, async () => {
      const float = optimize(make(31));
      const equalized = equalize(float);
      expect(relativeDifference(await run(equalized, 2), await run(float, 2))).toBeLessThan(1e-5);
    });
  }

  it('leaves no weights behind that nothing reads', () => {
    const float = optimize(residualNet(31));
    const values = (graph: Graph) =>
      [...graph.constants.values()].reduce((sum, { data }) => sum + data.length, 0);
    expect(values(equalize(float))).toBe(values(float));
  });

  it('balances the ranges of both sides, through pools and Flatten', () => {
    const b = createFloatGraph(33);
    const x = b.maxPool(b.relu(b.conv(b.input('input', ['N', 3, 4, 4]), 5)));
    const float = optimize(b.finish(b.gemm(b.node('Flatten', [x], { axis: 1 }), 7)));
    // One channel a thousand times the others.
    const [first] = findLayers(float).weighted.values();
    const data = Float32Array.from(first.weights.data as Float32Array, (w, i) => (i < 27 ? 1000 * w : w));
    const constants = new Map(float.constants).set(first.weights.name, { ...first.weights, data });
    const [conv, gemm] = findLayers(equalize({ ...float, constants })).weighted.values();
    for (let c = 0; c < 5; c++) {
      const own = (conv.weights.data as Float32Array).subarray(c * 27, (c + 1) * 27);
      const next = (gemm.weights.data as Float32Array).filter((_, i) => Math.floor((i % 20) / 4) === c);
      const ratio = Math.max(...own.map(Math.abs)) / Math.max(...next.map(Math.abs));
      expect(ratio).toBeCloseTo(1, 2);
    }
  });

  it('makes one scale a tensor good enough where channels differ', async () => {
    const b = createFloatGraph(34);
    const wide = b.relu(b.conv(b.input('input', ['N', 3, 8, 8]), 8));
    const float = optimize(b.finish(b.gemm(b.globalPool(b.relu(b.conv(wide, 8))), 10)));
    const [first, second] = findLayers(float).weighted.values();
    const factor = (c: number): number => 4 ** (c - 4);
    const constants = new Map(float.constants);
    const edit = (name: string, scaleOf: (i: number) => number): void => {
      const tensor = constants.get(name)!;
      const data = Float32Array.from(tensor.data as Float32Array, (w, i) => w * scaleOf(i));
      constants.set(name, { ...tensor, data });
    };
    edit(first.weights.name, (i) => factor(Math.floor(i / 27)));
    edit(first.node.inputs[2], (i) => factor(i));
    edit(second.weights.name, (i) => 1 / factor(Math.floor(i / 9) % 8));
    const skewed = { ...float, constants };
    const expected = await run(skewed, 3);
    const [data] = randomInputs(skewed, IMAGES, 3).values();
    const error = async (isEqualized: boolean): Promise<number> => {
      const recipe = { weights: { perChannel: false }, corrections: { equalize: isEqualized } };
      const calibration = await calibrate(skewed, [{ data, shape: [IMAGES, 3, 8, 8] }], { recipe });
      return relativeDifference(await run(quantizeCalibrated(calibration, recipe).graph, 3), expected);
    };
    expect(await error(true)).toBeLessThan(0.2 * (await error(false)));
  });
});
