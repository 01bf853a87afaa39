import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { calibrate } from '../../src/quantize/calibrate.ts';
import { compareModels } from '../../src/quantize/compare.ts';
import { quantizeCalibrated } from '../../src/quantize/quantize.ts';
import { SWEEP_BITS, sweepBits } from '../../src/quantize/sweep.ts';
import { convNet, randomInputs, residualNet } from '../support/onnx-models.ts';

function images(graph: Parameters<typeof randomInputs>[0], size: number) {
  const [data] = randomInputs(graph, 16, 1).values();
  return [{ data, shape: [16, 3, size, size] }];
}

describe('compareModels', () => {
  const float = residualNet(41);
  const batches = images(float, 10);

  it('finds a model equal to itself', async () => {
    for (const { sqnr, cosine, largestDifference } of await compareModels(float, float, batches)) {
      expect([sqnr, largestDifference]).toEqual([Infinity, 0]);
      expect(cosine).toBeCloseTo(1, 12);
    }
  });

  it('shows the layer that was spoilt as the worst, and what lies before it as good', async () => {
    const calibration = await calibrate(float, batches);
    const layers = [...calibration.layers.weighted.keys()];
    const { graph } = quantizeCalibrated(calibration, {
      layers: [{ match: layers[2], activations: { bits: 2 } }],
    });
    const rows = await compareModels(float, graph, batches);
    const value = [...calibration.layers.values.values()].find(
      ({ producer }) => producer?.name === layers[2],
    )!;
    expect(rows[0].name).toBe(value.name);
    expect(rows[0].sqnr).toBeLessThan(20);
    expect(rows[0].cosine).toBeLessThan(0.999);
    expect(rows.map(({ sqnr }) => sqnr)).toEqual(rows.map(({ sqnr }) => sqnr).toSorted((a, b) => a - b));
    expect(rows.find(({ name }) => name === 'logits')).toBeDefined();
    expect(rows.at(-1)!.sqnr).toBeGreaterThan(35);
  });

  it('measures what it says', async () => {
    const calibration = await calibrate(float, batches);
    const { graph, report } = quantizeCalibrated(calibration);
    const rows = await compareModels(float, graph, batches);
    // The first layer's error is its own rounding, its weights' and its input's: nearly what the report estimates.
    const first = report.layers.find(({ op }) => op === 'Conv+Relu')!;
    const row = rows.find(({ name }) => name === first.value)!;
    expect(row.sqnr).toBeLessThan(first.activation!.sqnr + 0.1);
    expect(row.sqnr).toBeGreaterThan(first.activation!.sqnr - 6);
    expect(row.largestDifference).toBeLessThan(6 * first.activation!.scale);
  });

  it('refuses models that have nothing in common, and no images', async () => {
    const other = convNet(1);
    const renamed = {
      ...other,
      nodes: other.nodes.map((node) => ({
        ...node,
        inputs: node.inputs.map((name) =>
          other.constants.has(name) || name === 'input' ? name : `other_${name}`,
        ),
        outputs: node.outputs.map((name) => `other_${name}`),
      })),
    };
    await expect(compareModels(float, renamed, batches)).rejects.toThrow(/no value of the same name/);
    const empty = compareModels(float, float, []);
    await expect(empty).rejects.toThrow(InputError);
    await expect(empty).rejects.toThrow(/no image/);
  });
});

describe('sweepBits', () => {
  it('quantizes at every combination from one calibration', async () => {
    const float = convNet(42);
    const calibration = await calibrate(float, images(float, 12));
    const items: string[] = [];
    const results = await sweepBits(calibration, {
      weightBits: [8, 3],
      activationBits: [6, 2],
      recipe: { activations: { observer: 'mse' }, layers: [{ match: 'conv_0', weights: { bits: 7 } }] },
      evaluate: (graph, bits) => {
        const recipe = JSON.parse(graph.metadata.get('octet.recipe')!) as {
          weights: { bits: number };
          activations: { bits: number; observer: string };
        };
        expect([recipe.weights.bits, recipe.activations.bits]).toEqual([bits.weights, bits.activations]);
        expect(recipe.activations.observer).toBe('mse');
        return graph.constants.get('conv_0_weight_quantized')!.data as Int8Array;
      },
      onProgress: (event) => {
        if (event.stage === 'quantize' && event.item)
          items.push(`${event.done}/${event.total} ${event.item}`);
      },
    });
    expect(results.map(({ weights, activations }) => [weights, activations])).toEqual([
      [8, 6],
      [8, 2],
      [3, 6],
      [3, 2],
    ]);
    expect(items).toEqual(['0/4 W8A6', '1/4 W8A2', '2/4 W3A6', '3/4 W3A2']);
    for (const { result } of results) expect(Math.max(...result.map(Math.abs))).toBe(63);
    expect(SWEEP_BITS).toEqual([8, 6, 5, 4, 3, 2]);
  });

  it('stops when aborted', async () => {
    const float = convNet(43);
    const calibration = await calibrate(float, images(float, 12));
    const controller = new AbortController();
    let evaluated = 0;
    const sweep = sweepBits(calibration, {
      signal: controller.signal,
      evaluate: () => {
        if (++evaluated === 2) controller.abort(new Error('enough'));
      },
    });
    await expect(sweep).rejects.toThrow('enough');
    expect(evaluated).toBe(2);
  });
});
