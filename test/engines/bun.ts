/** Prints the digests of a run in Bun: `bun --conditions=octet:source bun.ts <folder>`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { type Digests, functionDigests, modelDigests, MODELS } from './digests.ts';

const folder = process.argv[2];
const read = async (name: string) => new Uint8Array(await readFile(join(folder, name)));
const report: Record<string, Digests> = { functions: await functionDigests() };
for (const model of MODELS) {
  // VGG16 takes seconds on the reference.
  if (model !== 'vgg16') report[`${model} reference`] = await modelDigests(model, 'reference', read);
  for (const threads of [1, 2]) {
    report[`${model} wasm ${threads}`] = await modelDigests(model, 'wasm', read, threads);
  }
}
process.stdout.write(JSON.stringify({ version: process.versions.bun, report }), () => process.exit(0));
