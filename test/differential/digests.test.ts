/**
 * SHA-256 of the outputs of 300 seeded graphs, committed: what an optimization or a redesign must leave as it is. A change that is
 * meant to change bytes updates the list (`OCTET_UPDATE_DIGESTS=1 npx vitest run test/differential/digests.test.ts`), and says so.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import type { IntegerProgram } from '../../src/program/program.ts';
import { runProgram } from '../support/differential.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { randomQdqGraph } from '../support/random-qdq-graph.ts';

const path = fileURLToPath(new URL('digests.json', import.meta.url));
const GRAPHS = 300;
const BATCH = 2;

const lowered = (seed: number): IntegerProgram | undefined => {
  try {
    return lower(randomQdqGraph(seed, BATCH), builtinOperators);
  } catch (error) {
    if (error instanceof ModelError) return undefined;
    throw error;
  }
};

async function digest(seed: number, backend: 'reference' | 'wasm'): Promise<string> {
  const program = lowered(seed);
  if (!program) return 'refused';
  const values = randomInputs(randomQdqGraph(seed, BATCH), BATCH, seed);
  const hash = createHash('sha256');
  for (const { data } of (await runProgram(program, values, BATCH, backend)).values()) {
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

test.each(['reference', 'wasm'] as const)('%s gives the committed bytes', async (backend) => {
  const found: Record<string, string> = {};
  for (let seed = 1; seed <= GRAPHS; seed++) found[seed] = await digest(seed, backend);
  if (process.env.OCTET_UPDATE_DIGESTS) writeFileSync(path, `${JSON.stringify(found, null, 2)}\n`);
  expect(found).toEqual(JSON.parse(readFileSync(path, 'utf8')));
});
