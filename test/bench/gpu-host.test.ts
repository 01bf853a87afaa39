/** A dry run of what `npm run pack:gpu-host` packs, and the table that is made of what comes back. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { loadNetwork } from '../../bench/bench-networks.ts';
import { readGolden, writeGolden } from '../../bench/golden.ts';
import type { GpuHostResult } from '../../bench/gpu-host-result.ts';
import { programOf } from '../../bench/kernel-timing.ts';
import { networks } from '../../bench/networks.ts';
import { gpuHostTable } from '../../bench/report.ts';
import { packGpuHost } from '../../bench/pack-gpu-host.ts';
import { flagship as int8Model } from '../../scripts/quantize-flagship.ts';
import { loadFixedModel } from '../../src/index.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { candidates } from '../../src/webgpu/execution-plan.ts';
import { chooseVulkanDriver } from '../support/node-gpu.ts';

test('golden tensors come back as the reference made them, in any batch', async () => {
  const flagship = await loadNetwork('vgg16', false);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'octet-golden-'));
  try {
    using reference = await loadFixedModel(int8Model, { backend: 'reference' });
    const file = path.join(folder, 'golden');
    await writeGolden(file, reference, [flagship.batchFrom(0, 1), flagship.batchFrom(1, 1)]);
    const golden = await readGolden(file);
    expect(golden.pictures).toBe(2);
    // Pictures 1 and 0: the second wraps around.
    const pixels = golden.pixels(1, 2);
    expect(pixels.subarray(3072)).toEqual(flagship.batchFrom(0, 1));
    const tensors = await reference.values({ [reference.inputs[0].name]: { pixels } });
    expect(tensors.size).toBe(reference.program.tensors.length);
    for (const [name, { data }] of tensors) expect(golden.tensor(name, 1, 2), name).toEqual(data);
    expect(() => golden.tensor('nothing', 0, 1)).toThrow(/no tensor "nothing"/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('the packed folder runs by itself: bytes compared, everything measured', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'octet-gpu-host-'));
  try {
    await packGpuHost(path.join(folder, 'pack'), 2);
    chooseVulkanDriver();
    const output = path.join(folder, 'gpu.json');
    const small = '--batches 1 --repetitions 1 --tune off --kernels joined --layers fc8 --allow-software';
    const { stdout } = await promisify(execFile)(
      path.join(folder, 'pack/run.sh'),
      [...small.split(' '), '--output', output],
      { cwd: folder },
    );
    expect(stdout).toContain('all bytes are the reference’s');
    const result = JSON.parse(await readFile(output, 'utf8')) as GpuHostResult;
    expect(result.kernelSuite.cases).toBeGreaterThan(0);
    expect(result.kernelSuite.failures).toEqual([]);
    expect(result.checks.map(({ batch }) => batch)).toEqual([1, 3, 8]);
    for (const { elements, differing } of result.checks) {
      expect(elements).toBeGreaterThan(2 * 100_000);
      expect(differing).toEqual([]);
    }
    const [{ tune, layers, peaks, imagesPerSecond }] = result.throughput;
    expect(tune).toBe('off');
    expect(imagesPerSecond).toBeGreaterThan(0);
    for (const { family, macs, share } of layers) {
      expect(share !== null).toBe(macs > 0);
      if (macs > 0) expect(peaks[family!]).toBeGreaterThan(0);
    }
    expect(result.rows.map(({ layer }) => layer)).toEqual(['fc8']);
    expect(gpuHostTable(result)).toContain('0 tensors differ');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('the table of a GPU says what was compared, and the share of the peak', () => {
  const layer = (name: string, ms: number, share: number | null) => ({
    name,
    variant: 'tiled',
    family: 'dot4I8Packed' as const,
    macs: 1,
    ms,
    gmacs: 1,
    share,
  });
  const result: Pick<GpuHostResult, 'throughput' | 'checks' | 'kernelSuite' | 'rows'> = {
    throughput: [
      {
        tune: 'full',
        batch: 64,
        latencyMs: { repetitions: 30, median: 8, p10: 7, p90: 9 },
        imagesPerSecond: 8000,
        gpuMs: 5,
        method: 'timestamp-query',
        peaks: { dot4I8Packed: 100_000 },
        // 3 ms at half the peak, 1 ms at a tenth: (1.5 + 0.1) of 4 ms. A pool has no share.
        layers: [layer('conv', 3, 0.5), layer('dense', 1, 0.1), layer('pool', 1, null)],
      },
    ],
    checks: [
      { tune: 'off', batch: 8, pictures: 24, elements: 500, differing: [] },
      { tune: 'full', batch: 8, pictures: 24, elements: 500, differing: ['conv, pictures 0 to 7: 1'] },
    ],
    kernelSuite: { cases: 170, variants: 58, failures: [] },
    rows: [],
  };
  const table = gpuHostTable(result);
  expect(table).toContain('1000 elements of whole networks, 1 tensors differ; 170 kernel cases, 0 failures');
  expect(table).toContain('dot4I8Packed 100000.0 GMAC/s');
  expect(table).toContain('| full | 64 | 8.00 (7.00–9.00) | 8000 | 5.00 | 40 % |');
});

test('the default variants of a GPU are near the best of those measured on one', async () => {
  const file = new URL('../../bench/results/gpu-nvidia-h200.json', import.meta.url);
  const { rows } = JSON.parse(await readFile(file, 'utf8')) as GpuHostResult;
  const measured = new Set(rows.map(({ layer, batch }) => `${layer} ${batch}`));
  expect(measured.size).toBeGreaterThan(1);
  for (const name of measured) {
    const alike = rows.filter(({ layer, batch }) => `${layer} ${batch}` === name);
    const [{ layer, batch }] = alike;
    const program = programOf(networks['vgg16-cifar10'].find((shape) => shape.name === layer)!);
    const { variants } = candidates(program.operations[0], {
      program,
      operators: createOperatorRegistry(),
      batch,
      capabilities: {
        adapterClass: 'discrete',
        packedDot: true,
        subgroupSize: 32,
        // Enough for every variant that was measured.
        limits: {
          maxComputeWorkgroupStorageSize: 32_768,
          maxComputeInvocationsPerWorkgroup: 1024,
          maxComputeWorkgroupsPerDimension: 65_535,
          maxComputeWorkgroupSizeX: 1024,
          maxStorageBufferBindingSize: 2 ** 31,
        },
      },
    });
    const msOf = (variant: string) => alike.find((row) => row.variant === variant)!.ms;
    const least = Math.min(...alike.map(({ ms }) => ms));
    expect(msOf(variants[0].name) / least, `${name}: ${variants[0].name}`).toBeLessThan(1.2);
  }
});
