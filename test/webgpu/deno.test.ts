/**
 * The GPU suites in Deno: another implementation of WebGPU, and another compiler of WGSL, must give the same bytes; and so must, on
 * Linux, another driver below it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFlagship } from '../../scripts/quantize-flagship.ts';
import { runInDeno } from '../support/deno.ts';
import { lavapipe } from '../support/node-gpu.ts';
import type { DenoReport } from './deno/run-suite.ts';
import { expectReport } from './expect-report.ts';
import type { SuiteName } from './suites/index.ts';

const script = fileURLToPath(new URL('deno/run-suite.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
/** Tuning results of earlier runs must not be met again. */
const cacheDirectory = mkdtempSync(join(tmpdir(), 'octet-test-'));

beforeAll(async () => {
  await makeFlagship();
});

afterAll(() => rmSync(cacheDirectory, { recursive: true }));

async function run(name: SuiteName, least: number, driver?: string): Promise<void> {
  const line = await runInDeno(script, [name], { cwd: root, cacheDirectory, sources: true, driver });
  const report = JSON.parse(line) as DenoReport;
  expect(report.userAgent).toMatch(/^Deno\//);
  expect(report.ownGpu).toBe(true);
  if (driver) expect(report.adapter).toMatch(/llvmpipe/);
  expectReport(report.userAgent, name, report, least);
}

test('every kernel variant equals the reference', () => run('kernels', 150), 400_000);
test('a few random programs equal the reference', () => run('a few random programs', 40), 200_000);
test('buffers, overlap, loss and wrong kernels', () => run('lifecycle', 60), 300_000);
test('all tensors of VGG16 on a few pictures', () => run('vgg16 on few pictures', 60), 300_000);

// Other systems have no lavapipe. There the tests above run on the machine's own driver.
describe.runIf(process.platform === 'linux')('on lavapipe', () => {
  test('every kernel variant equals the reference', () => run('kernels', 150, lavapipe()), 3_600_000);
  test('random programs equal the reference', () => run('random programs', 120, lavapipe()), 200_000);
  test('buffers, overlap, loss and wrong kernels', () => run('lifecycle', 60, lavapipe()), 300_000);
  test('all tensors of VGG16 on a few pictures', () => run('vgg16 on few pictures', 60, lavapipe()), 300_000);
});
