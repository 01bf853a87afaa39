/** EfficientNet-Lite0, the file that the repository ships: right answers from the command line, the same integers on both CPU backends. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { decodePicture, loadModel } from '../../src/index.ts';
import { octet } from '../cli/run.ts';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const model = path('models/efficientnet-lite0.int8.onnx');
const cat = path('examples/pictures/cat.png');

test('octet classify names what is in photographs', async () => {
  const espresso = path('examples/pictures/espresso.png');
  const { code, stdout } = await octet(
    ...['classify', '--model', model, cat, espresso, '--backend', 'wasm', '--json'],
  );
  expect(code).toBe(0);
  const { results } = JSON.parse(stdout) as {
    results: { predictions: { label: string; index: number; probability: number }[] }[];
  };
  const best = results.map(({ predictions: [{ label, index }] }) => ({ label, index }));
  expect(best).toEqual([
    { label: 'Egyptian cat', index: 285 },
    { label: 'espresso', index: 967 },
  ]);
  expect(results[1].predictions[0].probability).toBeGreaterThan(0.8);
});

test('wasm gives the integers of the reference, in the file of the digest in models/networks', async () => {
  const file = await readFile(model);
  const page = await readFile(path('models/networks/README.md'), 'utf8');
  expect(page).toContain(`\`${createHash('sha256').update(file).digest('hex')}\``);
  const picture = await decodePicture(new Uint8Array(await readFile(cat)));
  const integers = [];
  for (const backend of ['reference', 'wasm'] as const) {
    const loaded = await loadModel(new Uint8Array(file), { backend });
    const { outputs } = await loaded.run({ input: picture }, { integers: true });
    integers.push(outputs.logits.integers);
    loaded.dispose();
  }
  expect(integers[1]).toEqual(integers[0]);
});
