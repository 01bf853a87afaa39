import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { imageBatches } from '../../src/model/image-batches.ts';
import type { Batch } from '../../src/quantize/onnx-runtime.ts';
import type { Picture } from '../../src/vision/picture.ts';
import { createFloatGraph } from '../support/onnx-models.ts';

function graphOf(shape: readonly (number | string)[], mean: string, std: string): Graph {
  const b = createFloatGraph(1);
  const metadata = new Map([
    ['mean', mean],
    ['std', std],
  ]);
  return { ...b.finish(b.relu(b.input('image', shape))), metadata };
}

async function collect(...args: Parameters<typeof imageBatches>): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of imageBatches(...args)) batches.push(batch);
  return batches;
}

/** 1×2 pixels: orange and blue. */
const picture: Picture = { width: 2, height: 1, data: Uint8Array.of(255, 102, 0, 0, 0, 51) };

describe('imageBatches', () => {
  test('normalizes each channel on its own, channels first', async () => {
    const graph = graphOf(['N', 3, 1, 2], '0,0.4,0', '1,2,0.5');
    const [{ data, shape }] = await collect(graph, [picture]);
    expect(shape).toEqual([1, 3, 1, 2]);
    expect([...data]).toEqual([1, 0, 0, -0.2, 0, 0.4].map(Math.fround));
  });

  test('gives a network of one channel luma', async () => {
    const graph = graphOf(['N', 1, 1, 2], '0.5', '0.25');
    const [{ data, shape }] = await collect(graph, [picture]);
    expect(shape).toEqual([1, 1, 1, 2]);
    // 0.299·255 + 0.587·102 = 136.1 and 0.114·51 = 5.8.
    expect([...data]).toEqual([136, 6].map((p) => Math.fround((p / 255 - 0.5) / 0.25)));
  });

  test('fills batches, the last one as far as there are pictures', async () => {
    const graph = graphOf(['N', 3, 1, 2], '0,0,0', '1,1,1');
    const batches = await collect(graph, [picture, picture, picture], { batch: 2 });
    expect(batches.map(({ shape, data }) => [shape[0], data.length])).toEqual([
      [2, 12],
      [1, 6],
    ]);
    expect([...batches[1].data]).toEqual([...batches[0].data.subarray(0, 6)]);
  });

  test.each<[string, Graph, RegExp]>([
    [
      'mean and std of one channel for three',
      graphOf(['N', 3, 1, 2], '0', '1'),
      /3 channels, but mean has 1/,
    ],
    ['two channels', graphOf(['N', 2, 1, 2], '0,0', '1,1'), /one input \[N, 3, height, width\]/],
    ['sizes that are not fixed', graphOf(['N', 3, 'h', 'w'], '0,0,0', '1,1,1'), /no fixed height and width/],
    [
      'no normalization',
      { ...graphOf(['N', 3, 1, 2], '', ''), metadata: new Map() },
      /how pixels are normalized/,
    ],
  ])('refuses %s', async (_, graph, message) => {
    const refused = collect(graph, [picture]);
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow(message);
  });
});
