/** What each layer's rounding costs, against ONNX Runtime on graphs that are rounded in another way. */
import { expect, test } from 'vitest';
import { rankLayers, worthChanging } from '../../src/inspect/advice.ts';
import { inspectModel } from '../../src/inspect/inspect.ts';
import { analyzeSensitivity } from '../../src/inspect/sensitivity.ts';
import { imageBatches } from '../../src/model/image-batches.ts';
import { compareModels } from '../../src/quantize/compare.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';

const b = createFloatGraph(3);
const first = b.relu(b.conv(b.input('input', ['N', 3, 8, 8]), 8));
const middle = b.relu(b.conv(first, 8));
const float = {
  ...b.finish(b.gemm(b.globalPool(b.relu(b.conv(middle, 8))), 10)),
  metadata: new Map([
    ['mean', '0.5,0.5,0.5'],
    ['std', '0.25,0.25,0.25'],
  ]),
};
const [, coarse] = float.nodes.filter(({ op }) => op === 'Conv');
const random = createRandom(8);
const pictures = Array.from({ length: 20 }, () => ({
  width: 8,
  height: 8,
  data: Uint8Array.from({ length: 192 }, () => random.int(0, 255)),
}));

test('the coarse layer is found, sums agree, and all of it is what the quantized model loses', async () => {
  const { graph } = await quantize(float, imageBatches(float, pictures), {
    recipe: {
      corrections: { equalize: true },
      layers: [{ match: coarse.name, weights: { bits: 2, rounding: 'nearest' }, activations: { bits: 4 } }],
    },
  });
  const sensitivity = await analyzeSensitivity(float, graph, pictures);
  const { layers, all, weights, activations } = sensitivity;
  expect(sensitivity.pictures).toBe(20);
  expect(layers.map(({ kind, bits }) => `${kind} ${bits}`)).toEqual([
    'activation 8',
    ...['weights 8', 'activation 8', 'weights 2', 'activation 4', 'weights 8', 'activation 8'],
    ...['activation 8', 'weights 8'],
  ]);
  const inspection = { ...inspectModel(float, { quantized: graph }), sensitivity };
  const ranked = rankLayers(inspection);
  expect(ranked[0]).toMatchObject({ kind: 'weights', name: coarse.name, change: { weights: { bits: 8 } } });
  // 8·8·3·3 weights, six bits more each.
  expect(ranked[0].bytes).toBe((576 * 6) / 8);
  expect(worthChanging(ranked)[0]).toBe(ranked[0]);
  expect(layers.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);

  const ofWeights = layers.filter(({ kind }) => kind === 'weights');
  const ofActivations = layers.filter(({ kind }) => kind === 'activation');
  expect(ofWeights[0].cumulative).toEqual(ofWeights[0].isolated);
  expect(ofWeights.at(-1).cumulative).toEqual(weights);
  expect(ofActivations.at(-1).cumulative).toEqual(activations);

  const [output] = float.outputs;
  const compared = await compareModels(float, graph, imageBatches(float, pictures));
  expect(all.sqnr).toBeCloseTo(compared.find(({ name }) => name === output.name)!.sqnr, 1);
});

test('a model that was not made from the float one is refused', async () => {
  const other = createFloatGraph(4);
  const stranger = other.finish(other.conv(other.input('input', ['N', 3, 8, 8]), 8));
  const { graph } = await quantize(stranger, [{ data: new Float32Array(192).fill(1), shape: [1, 3, 8, 8] }]);
  await expect(analyzeSensitivity(float, graph, pictures)).rejects.toThrow(
    /the weights of "conv_0" are not those of the float model/,
  );
});

test('an output that is rounded itself, all sizes fixed', async () => {
  const fixed = createFloatGraph(4);
  const map = fixed.node('Sigmoid', [fixed.conv(fixed.input('input', [2, 3, 8, 8]), 4)]);
  const graph = { ...fixed.finish(map), metadata: float.metadata };
  const { graph: rounded } = await quantize(graph, imageBatches(graph, pictures, { batch: 2 }));
  const { layers, all } = await analyzeSensitivity(graph, rounded, pictures);
  expect(layers.at(-1)).toMatchObject({ kind: 'activation', bits: 8 });
  expect(all.sqnr).toBeLessThan(60);
});
