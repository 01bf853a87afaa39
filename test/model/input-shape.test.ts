/** Models with sizes that the file leaves open, fixed at load. Those that runs choose: sizes-by-run.test.ts. */
import { beforeAll, describe, expect, test } from 'vitest';
import { InputError, ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { imageBatches } from '../../src/model/image-batches.ts';
import { loadFixedModel } from '../../src/model/load.ts';
import type { InputShape } from '../../src/model/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { pictureFromPixels } from '../../src/vision/picture.ts';
import { convNet } from '../support/onnx-models.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(1);
const reals = (length: number) => Float32Array.from({ length }, () => 2 * random.next() - 1);

/** Any size will do: it ends in a global pool. */
function openGraph(): Graph {
  const { constants, ...graph } = convNet(1);
  const inputs = graph.inputs.map((input) => ({ ...input, shape: ['N', 3, 'height', 'width'] }));
  return decodeModel(encodeModel({ ...graph, constants, inputs, values: new Map() }));
}

let file: Uint8Array;

beforeAll(async () => {
  const shape = [2, 3, 16, 12];
  const { graph } = await quantize(openGraph(), [{ data: reals(2 * 3 * 16 * 12), shape }]);
  file = encodeModel(graph);
});

async function load(inputShape: InputShape) {
  return loadFixedModel(file, { backend: 'reference', inputShape });
}

test('quantizing leaves the sizes open', () => {
  expect(decodeModel(file).inputs[0].shape).toEqual(['N', 3, 'height', 'width']);
});

test('sizes by the names of dimensions, or by the name of the input', async () => {
  using named = await load({ height: 20, width: 9 });
  using listed = await load({ input: [1, 3, 20, 9] });
  expect(named.inputs[0]).toMatchObject({ shape: ['N', 3, 20, 9], height: 20, width: 9 });
  const input = reals(2 * 3 * 20 * 9);
  const { outputs } = await named.run({ input });
  // The batch is for each run to choose.
  expect(outputs.logits.shape).toEqual([2, 10]);
  expect((await listed.run({ input })).outputs.logits.data).toEqual(outputs.logits.data);
});

test('another size is another load of the same bytes, and gives what a file of that size gives', async () => {
  const fixed = decodeModel(file, { inputShape: { height: 8, width: 8 } });
  expect(fixed.inputs[0].shape).toEqual(['N', 3, 8, 8]);
  using ofBytes = await load({ height: 8, width: 8 });
  using ofFixed = await loadFixedModel(encodeModel(fixed), { backend: 'reference' });
  using ofGraph = await loadFixedModel(decodeModel(file), {
    backend: 'reference',
    inputShape: { height: 8, width: 8 },
  });
  const input = reals(3 * 64);
  const results = await Promise.all(
    [ofBytes, ofFixed, ofGraph].map(async (model) => (await model.run({ input })).outputs.logits.data),
  );
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});

test('where sizes must be fixed, the error says what to pass', async () => {
  const loading = loadFixedModel(file, { backend: 'reference' });
  await expect(loading).rejects.toThrow(ModelError);
  await expect(loading).rejects.toThrow(
    'pass inputShape: { height: …, width: … } to loadModel, or --input-shape height=…,width=… on the command line',
  );
});

describe('refused', () => {
  test.each<[InputShape, RegExp]>([
    [{ depth: 3 }, /inputShape names "depth", but the model takes "input" \[N, 3, height, width\]/],
    [{ image: [1, 3, 8, 8] }, /inputShape has a list for "image", but the model takes "input"/],
    [{ input: [1, 1, 8, 8] }, /inputShape gives "input" \[1, 1, 8, 8\], but/],
    [{ input: [3, 8, 8] }, /inputShape gives "input" \[3, 8, 8\], but/],
    [{ input: [1, 3, 8, 8], width: 9 }, /the dimension "width" both 8 and 9/],
    [{ height: 0, width: 8 }, /a size or a list of sizes/],
    [{ height: 8 }, /inputShape: \{ width: … \}/],
  ])('%j', async (inputShape, message) => {
    await expect(load(inputShape)).rejects.toThrow(message);
  });

  test('sizes that do not fit, as errors of the caller', async () => {
    await expect(load({ depth: 3 })).rejects.toThrow(InputError);
  });
});

test('pictures are resized to what is asked for', async () => {
  const graph = openGraph();
  const pictures = [pictureFromPixels(5, 5, new Uint8Array(3 * 25))];
  const preprocessing = { mean: [0, 0, 0], std: [1, 1, 1] };
  const shapes: (readonly number[])[] = [];
  for await (const { shape } of imageBatches(graph, pictures, {
    preprocessing,
    inputShape: { height: 6, width: 4 },
  }))
    shapes.push(shape);
  expect(shapes).toEqual([[1, 3, 6, 4]]);
  await expect(imageBatches(graph, pictures, { preprocessing }).next()).rejects.toThrow(
    /no fixed height and width: pass inputShape: \{ height: …, width: … \}/,
  );
});
