/** The GPU suites in Node, on Dawn (npm `webgpu`). The heavier runs of them are the browser's. */
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { makeFlagship } from '../../scripts/quantize-flagship.ts';
import { chooseVulkanDriver } from '../support/node-gpu.ts';
import { expectReport } from './expect-report.ts';
import { suites, type SuiteName } from './suites/index.ts';

/** Tuning results of earlier runs must not be met again. */
const cache = mkdtempSync(join(tmpdir(), 'octet-test-'));

beforeAll(async () => {
  process.env.OCTET_CACHE = cache;
  chooseVulkanDriver();
  await makeFlagship();
});

afterAll(() => rmSync(cache, { recursive: true }));

async function run(name: SuiteName, least: number): Promise<void> {
  const report = await suites[name]({
    read: async (path) => new Uint8Array(await readFile(new URL(`../../${path}`, import.meta.url))),
  });
  expectReport('Node', name, report, least);
}

test('a few random programs equal the reference', () => run('a few random programs', 40), 200_000);
test('buffers, overlap, loss and wrong kernels', () => run('lifecycle', 60), 300_000);
test('all tensors of VGG16 on a few pictures', () => run('vgg16 on few pictures', 60), 200_000);
