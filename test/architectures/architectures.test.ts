/** The smallest files of export.py quantize and run: as ONNX Runtime does, and with the same bytes on both CPU backends. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { type Architecture, judgeArchitecture } from '../support/architectures.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';

const folder = new URL('fixtures/', import.meta.url);
const manifest = JSON.parse(
  readFileSync(new URL('manifest.json', import.meta.url), 'utf8'),
) as Architecture[];

/** Whose LSTM, on the host, has 37 % of the multiply-adds. */
const ON_HOST = 'voice-activity';

describe.each(readdirSync(folder))('%s', (file) => {
  const bytes = new Uint8Array(readFileSync(new URL(file, folder)));
  const { name, shape } = manifest.find((each) => file === `${each.name}.${each.exporter}.onnx`)!;

  test('is decoded into a graph of the same values, its batch in front', async () => {
    const graph = decodeModel(bytes);
    for (const { shape: sizes, dtype } of graph.values.values()) {
      if (dtype === 'float32' && sizes.includes('N') && name !== ON_HOST) expect(sizes[0]).toBe('N');
    }
    const inputs = randomInputs(graph, 3, 5);
    const expected = await runOrt(bytes, inputs, 3);
    const actual = await runOrt(graph, inputs, 3);
    for (const [output, { data, shape: sizes }] of expected) {
      expect(actual.get(output)!.shape).toEqual(sizes);
      const difference = relativeDifference(actual.get(output)!.data as Float32Array, data as Float32Array);
      expect(difference).toBeLessThan(1e-5);
    }
  });

  test('quantizes and runs', async () => {
    const { refusal, share, steps, sqnr, different } = await judgeArchitecture(bytes, shape);
    expect(refusal).toBeUndefined();
    expect(different).toEqual([]);
    expect(steps).toBeLessThanOrEqual(1);
    expect(sqnr).toBeGreaterThan(10);
    if (name === ON_HOST) expect(share).toBeCloseTo(0.625, 3);
    else expect(share).toBeGreaterThanOrEqual(0.95);
  });
});
