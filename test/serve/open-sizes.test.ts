/** A model whose file leaves sizes open, served: each request has those of its tensors. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadFixedModel } from '../../src/model/load.ts';
import type { Server } from '../../src/serve/server.ts';
import { createRandom } from '../support/random.ts';
import { serve } from './fixture.ts';

const path = 'models/faces-proposal.int8.onnx';
const random = createRandom(1);
let server: Server;

beforeAll(async () => {
  // A wait that lets requests of several sizes come to lie in one batch.
  server = await serve({ files: [{ name: 'faces', path }], waitMs: 50 });
});

afterAll(() => server.close());

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

async function infer(
  input: object,
): Promise<{ readonly status: number; readonly outputs?: readonly Tensor[]; readonly error?: string }> {
  const body = JSON.stringify({ inputs: [{ name: 'input', ...input }] });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/v2/models/faces/infer`, { method: 'POST', body, headers });
  return { status: response.status, ...((await response.json()) as object) };
}

test('the metadata has −1 for sizes that requests choose', async () => {
  const response = await fetch(`${server.url}/v2/models/faces`);
  const { inputs, outputs } = (await response.json()) as Record<'inputs' | 'outputs', readonly Tensor[]>;
  expect(inputs).toEqual([{ name: 'input', datatype: 'FP32', shape: [-1, 3, -1, -1] }]);
  expect(outputs.map(({ shape }) => shape)).toEqual([
    [-1, 4, -1, -1],
    [-1, 2, -1, -1],
  ]);
});

test('requests of several sizes at once have their own answers, and an impossible one its reason', async () => {
  const shapes = [
    [1, 3, 12, 17],
    [2, 3, 15, 12],
    [1, 3, 12, 17],
  ];
  const inputs = shapes.map((shape) => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.int(-100, 100) / 100),
  }));
  const asked = inputs.map(({ shape, data }) => infer({ datatype: 'FP32', shape, data: [...data] }));
  const tooSmall = infer({ datatype: 'FP32', shape: [1, 3, 5, 5], data: Array<number>(75).fill(0) });
  for (const [i, { status, outputs = [] }] of (await Promise.all(asked)).entries()) {
    expect(status).toBe(200);
    using model = await loadFixedModel(path, { backend: 'reference', inputShape: { input: shapes[i] } });
    const { outputs: expected } = await model.run({ input: inputs[i].data });
    for (const { name, shape, data } of outputs) {
      expect(shape).toEqual(expected[name].shape);
      expect(data).toEqual([...expected[name].data]);
    }
    expect(outputs).toHaveLength(2);
  }
  const refused = await tooSmall;
  expect(refused.status).toBe(400);
  expect(refused.error).toMatch(/Conv.*height = 5, width = 5/s);
});

test('pixels have sizes of their own, too', async () => {
  const pixels = Array.from({ length: 13 * 14 * 3 }, () => random.int(0, 255));
  const { outputs = [] } = await infer({ datatype: 'UINT8', shape: [1, 13, 14, 3], data: pixels });
  using model = await loadFixedModel(path, { backend: 'reference', inputShape: { height: 13, width: 14 } });
  const { outputs: expected } = await model.run({ input: { pixels: Uint8Array.from(pixels) } });
  expect(outputs[0].data).toEqual([...expected[outputs[0].name].data]);
});

test('what says no sizes is refused', async () => {
  const classified = await fetch(`${server.url}/v2/models/faces/classify`, {
    method: 'POST',
    body: 'no picture',
  });
  expect(classified.status).toBe(400);
  expect(await classified.text()).toMatch(/--input-shape/);
  const headers = { 'inference-header-content-length': '0', 'content-type': 'application/octet-stream' };
  const raw = await fetch(`${server.url}/v2/models/faces/infer`, {
    method: 'POST',
    headers,
    body: new Uint8Array(1728),
  });
  expect(raw.status).toBe(400);
  expect(await raw.text()).toMatch(/says no sizes/);
});
