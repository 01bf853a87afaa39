/**
 * SHA-256 of every logical tensor of the networks that lie in models/, committed: what an optimization or a redesign must leave as it is. A
 * change that is meant to change bytes updates the list (`OCTET_UPDATE_DIGESTS=1 npx vitest run test/differential/network-digests.test.ts`),
 * and says so. The GPU and the browsers' engines are held to the reference elsewhere (test/networks, test/engines).
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadModel } from '../../src/model/load.ts';
import { createRandom } from '../support/random.ts';

const NETWORKS = ['efficientnet-lite0', 'faces-output', 'faces-refinement'] as const;
const path = fileURLToPath(new URL('network-digests.json', import.meta.url));

type Digests = Record<string, string>;

async function digestsOf(network: string, backend: 'reference' | 'wasm'): Promise<Digests> {
  const file = fileURLToPath(new URL(`../../models/${network}.int8.onnx`, import.meta.url));
  using model = await loadModel(file, { backend });
  const random = createRandom(1);
  const inputs = model.inputs.map(({ name, shape }) => {
    const length = shape.slice(1).reduce<number>((product, size) => product * Number(size), 1);
    return [name, Float32Array.from({ length }, () => 3 * random.next() - 1.5)] as const;
  });
  const digests: Digests = {};
  for (const [name, { data }] of await model.values(Object.fromEntries(inputs))) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    digests[name] = createHash('sha256').update(bytes).digest('hex');
  }
  return digests;
}

test.each(['reference', 'wasm'] as const)('%s gives the committed bytes', async (backend) => {
  const found: Record<string, Digests> = {};
  for (const network of NETWORKS) found[network] = await digestsOf(network, backend);
  if (process.env.OCTET_UPDATE_DIGESTS) writeFileSync(path, `${JSON.stringify(found, null, 2)}\n`);
  expect(Object.values(found).every((digests) => Object.keys(digests).length > 10)).toBe(true);
  expect(found).toEqual(JSON.parse(readFileSync(path, 'utf8')));
});
