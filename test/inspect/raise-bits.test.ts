/** Layers made more exact until a limit holds: in which order, what is kept, and results of 16 bits as they run. */
import { beforeAll, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { raiseBits, type RaiseBitsOptions } from '../../src/inspect/raise-bits.ts';
import { analyzeSensitivity } from '../../src/inspect/sensitivity.ts';
import { imageBatches } from '../../src/model/image-batches.ts';
import { loadModel } from '../../src/model/load.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { openFloatSession } from '../../src/quantize/onnx-runtime.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';

const b = createFloatGraph(3);
const first = b.relu(b.conv(b.input('input', ['N', 3, 8, 8]), 8));
const second = b.conv(first, 8);
const float: Graph = {
  ...b.finish(b.gemm(b.globalPool(b.relu(second)), 10)),
  metadata: new Map([
    ['mean', '0.5,0.5,0.5'],
    ['std', '0.25,0.25,0.25'],
  ]),
};
const random = createRandom(8);
const pictures = Array.from({ length: 12 }, () => ({
  width: 8,
  height: 8,
  data: Uint8Array.from({ length: 192 }, () => random.int(0, 255)),
}));
const few = { weights: { bits: 4, rounding: 'nearest' }, corrections: { bias: false } } as const;

let expected: Float32Array;
beforeAll(async () => {
  const [{ name }] = float.outputs;
  const session = await openFloatSession(float, [name]);
  for await (const batch of imageBatches(float, pictures)) {
    expected = (await session.run(batch)).get(name)!.data;
  }
  await session.dispose();
});

/** Noise over signal of the outputs as Octet computes them. */
async function lossOf(quantized: Graph): Promise<number> {
  const model = await loadModel(quantized, { backend: 'wasm' });
  const { outputs } = await model.run({ input: pictures });
  model.dispose();
  const [{ data }] = Object.values(outputs);
  const [noise, signal] = expected.reduce(
    ([n, s], x, i) => [n + (x - Number(data[i])) ** 2, s + x * x],
    [0, 0],
  );
  return noise / signal;
}

const raise = (options: Partial<RaiseBitsOptions> & { readonly limit?: number }) =>
  raiseBits(float, pictures, {
    recipe: few,
    maxDrop: 0,
    evaluate: async (graph) => {
      const loss = await lossOf(graph);
      return { loss, drop: loss > (options.limit ?? 0) ? 1 : 0 };
    },
    ...options,
  });

const kindOf = ({
  change,
}: {
  readonly change: Awaited<ReturnType<typeof raise>>['steps'][number]['change'];
}) => (change?.float ? 'float' : (change?.weights?.bits ?? change?.activations?.bits));

test('few bits, then results of 16 bits, then float weights; what does not help is not kept', async () => {
  const { steps, recipe, met } = await raise({});
  expect(met).toBe(false);
  const [start, ...tried] = steps;
  expect(start).toMatchObject({ change: null, kept: true, hostStages: 0 });
  const kinds = tried.map(kindOf);
  expect([...new Set(kinds)]).toEqual([8, 16, 'float']);
  expect(kinds).toEqual([...kinds].sort((one, other) => rank(one) - rank(other)));
  let before = start;
  for (const step of tried) {
    expect(step.refused).toBeNull();
    expect(step.kept).toBe(kindOf(step) === 8 || step.loss < before.loss);
    if (kindOf(step) === 8) expect(step.bytes).toBeGreaterThan(before.bytes);
    if (kindOf(step) === 16) expect(step.hostStages).toBeGreaterThan(0);
    if (step.kept) before = step;
  }
  expect(before.loss).toBeLessThan(start.loss / 1e3);
  expect(recipe.layers).toEqual(steps.flatMap(({ change, kept }) => (change && kept ? [change] : [])));
  // The recipe is that of the last model that was kept.
  const { graph } = await quantize(float, imageBatches(float, pictures), { recipe });
  expect(await lossOf(graph)).toBe(before.loss);
});

const rank = (kind: string | number | undefined) => [8, 16, 'float'].indexOf(kind!);

test('ends with the first model that loses little enough, or before the first step', async () => {
  const whole = await raise({});
  const kept = whole.steps.filter((step) => step.kept);
  const ended = await raise({ limit: kept[1].loss });
  expect(ended).toMatchObject({ met: true });
  expect(ended.steps.filter((step) => step.kept).map(({ loss }) => loss)).toEqual([
    kept[0].loss,
    kept[1].loss,
  ]);
  expect((await raise({ limit: 1 })).steps).toHaveLength(1);
});

test('an opset without 16 bits leaves results at 8, and says so', async () => {
  const { steps } = await raise({ recipe: { ...few, opset: 20 } });
  const wide = steps.filter((step) => kindOf(step) === 16);
  expect(wide.length).toBeGreaterThan(0);
  for (const { kept, refused } of wide) {
    expect(kept).toBe(false);
    expect(refused).toMatch(/16 bits, which come with opset 21, but its opset is 20/);
  }
  expect(steps.some((step) => kindOf(step) === 'float' && step.kept)).toBe(true);
});

test('results of 16 bits: far less noise, and the same integers on both backends', async () => {
  const quantizedWith = (bits: 8 | 16) =>
    quantize(float, imageBatches(float, pictures), {
      recipe: { layers: [{ match: first, activations: { bits } }] },
    });
  const [made, plain] = [await quantizedWith(16), await quantizedWith(8)];
  expect(made.graph.opset).toBe(21);
  expect(made.report.layers.find(({ value }) => value === first)!.activation!.bits).toBe(16);
  const outputs = [];
  for (const backend of ['reference', 'wasm'] as const) {
    const model = await loadModel(made.graph, { backend });
    outputs.push(Object.values((await model.run({ input: pictures })).outputs)[0].data);
    model.dispose();
  }
  expect(outputs[1]).toEqual(outputs[0]);
  const alone = async ({ graph }: typeof made) =>
    (await analyzeSensitivity(float, graph, pictures)).layers.find(({ name }) => name === first)!;
  const [wide, narrow] = [await alone(made), await alone(plain)];
  expect([wide.bits, narrow.bits]).toEqual([16, 8]);
  // Eight bits are 48 dB.
  expect(wide.isolated.sqnr).toBeGreaterThan(narrow.isolated.sqnr + 30);
});
