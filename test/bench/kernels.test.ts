/** A dry run of `npm run bench:kernels`. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { benchKernels } from '../../bench/kernels.ts';
import { kernelTable } from '../../bench/report.ts';

test('the kernel benchmark times a layer and draws the roofline', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'octet-kernels-'));
  try {
    const output = path.join(folder, 'kernels');
    const result = await benchKernels(
      { networks: ['vgg16-cifar10'], layers: 'fc8', batch: 2, rounds: 1, defaults: true, output },
      () => undefined,
    );
    expect(result.rows).toHaveLength(1);
    const [row] = result.rows;
    expect(row).toMatchObject({ network: 'vgg16-cifar10', layer: 'fc8', batch: 2 });
    expect(row.gmacs).toBeCloseTo((2 * 4096 * 10) / row.ms / 1e6, 6);
    expect(row.share).toBeCloseTo(row.gmacs / result.peaks[row.family]!, 6);
    // Operands and result, each once: weights 4096 · 10, input 2 · 4096, output 2 · 12 bytes.
    expect(row.intensity).toBeCloseTo((2 * 40_960) / (40_960 + 2 * 4096 + 2 * 12), 6);
    const read = (extension: string) => readFile(`${output}.${extension}`, 'utf8');
    expect(JSON.parse(await read('json'))).toEqual(JSON.parse(JSON.stringify(result)));
    expect(await read('md')).toContain(kernelTable(result));
    expect(await read('svg')).toMatch(/^<svg[^]*register peak/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
