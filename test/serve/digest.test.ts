/** Replicas on different devices: the digest of the integers is the same. */
import { afterAll, expect, test } from 'vitest';
import { chooseVulkanDriver } from '../support/node-gpu.ts';
import { makeFolder, randomReals, serve } from './fixture.ts';

const folder = makeFolder();
afterAll(() => folder.remove());

test('WebGPU, WebAssembly and the reference answer with the same digests', async () => {
  chooseVulkanDriver();
  const files = [{ name: 'net', path: await folder.writeModel('net.onnx', 5) }];
  const replicas = await Promise.all(
    (['webgpu', 'wasm', 'reference'] as const).map((backend) =>
      serve({ files, load: { backend }, batch: 1 }),
    ),
  );
  try {
    expect(replicas.map(({ models }) => models[0].pool.model.backend)).toEqual([
      'webgpu',
      'wasm',
      'reference',
    ]);
    const digests = new Set<string>();
    for (const seed of [1, 2, 3]) {
      const data = [...randomReals(seed, 2)];
      const body = JSON.stringify({
        inputs: [{ name: 'input', datatype: 'FP32', shape: [2, 3, 12, 12], data }],
      });
      const given = await Promise.all(
        replicas.map(async ({ url }) => {
          const { headers } = await fetch(`${url}/v2/models/net/infer`, { method: 'POST', body });
          return headers.get('x-octet-digest')!;
        }),
      );
      expect(given[0]).toMatch(/^[0-9a-f]{64}$/);
      expect(given).toEqual([given[0], given[0], given[0]]);
      digests.add(given[0]);
    }
    expect(digests.size).toBe(3);
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
  }
});
