/**
 * Makes models/vgg16-cifar10.int8.onnx from the float model and the calibration sheet, where it is not there or was made from other
 * files or by another quantizer. Tests, demo and benchmarks start from it; benchmarks make those of other networks likewise.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configuredOnnxRuntime } from '../src/cli/runtime.ts';
import { findPictures, loadPictures } from '../src/cli/pictures.ts';
import { imageBatches } from '../src/model/image-batches.ts';
import { readGraph } from '../src/model/source.ts';
import { encodeModel } from '../src/onnx/encode.ts';
import type { ProgressEvent } from '../src/progress.ts';
import { quantize } from '../src/quantize/quantize.ts';
import type { RecipeInput } from '../src/quantize/recipe.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const calibration = join(root, 'models/cifar10/calibration-512.json');
const cache = join(root, '.cache');

/** Where the int8 model is. */
export const flagship = join(root, 'models/vgg16-cifar10.int8.onnx');

export interface Int8Model {
  readonly float: string;
  readonly int8: string;
  /** Name of its stamp and lock in the cache. */
  readonly name: string;
  /** Pictures of the calibration sheet, all of them by default. */
  readonly pictures?: number;
  readonly recipe?: RecipeInput;
}

/** What an int8 model is made from: the two inputs, and the code that makes it. */
async function sourceFiles(float: string): Promise<string[]> {
  const folders = ['src/graph', 'src/numerics', 'src/onnx', 'src/quantize'].map((folder) =>
    join(root, folder),
  );
  const code = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(folder, { recursive: true }))
        .filter((file) => file.endsWith('.ts'))
        .sort()
        .map((file) => join(folder, file)),
    ),
  );
  return [float, calibration, calibration.replace(/json$/, 'png'), ...code.flat()];
}

async function sourceHash(float: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await sourceFiles(float)) hash.update(await readFile(file));
  return hash.digest('hex');
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** Makes the flagship's int8 model unless it is there. @returns whether it was made anew */
export function makeFlagship(onProgress?: (event: ProgressEvent) => void): Promise<boolean> {
  const float = join(root, 'models/vgg16-cifar10.onnx');
  return makeInt8({ float, int8: flagship, name: 'flagship' }, onProgress);
}

/**
 * Makes an int8 model unless it is there. One process at a time: others wait for the one that has begun.
 * @returns whether it was made anew
 */
export async function makeInt8(
  { float, int8, name, pictures: count = Infinity, recipe }: Int8Model,
  onProgress?: (event: ProgressEvent) => void,
): Promise<boolean> {
  await mkdir(cache, { recursive: true });
  const hash = await sourceHash(float);
  const stamp = join(cache, `${name}.sha256`);
  const isFresh = async () =>
    (await exists(int8)) && (await readFile(stamp, 'utf8').catch(() => '')) === hash;
  if (await isFresh()) return false;
  const release = await acquireLock(join(cache, `${name}.lock`));
  try {
    if (await isFresh()) return false;
    const graph = await readGraph(float);
    const pictures = (await findPictures([calibration])).slice(0, count);
    const { graph: quantized } = await quantize(graph, imageBatches(graph, loadPictures(pictures)), {
      imageCount: pictures.length,
      ...(recipe && { recipe }),
      onnxRuntime: await configuredOnnxRuntime(),
      ...(onProgress && { onProgress }),
    });
    // Written beside and renamed, so that a file of the final name is whole.
    await writeFile(`${int8}.partial`, encodeModel(quantized));
    await rename(`${int8}.partial`, int8);
    await writeFile(stamp, hash);
    return true;
  } finally {
    await release();
  }
}

async function acquireLock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(path, `${process.pid}`, { flag: 'wx' });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    // Whoever held it has died.
    if (holder > 0 && !isAlive(holder)) await rm(path, { force: true });
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const made = await makeFlagship((event) => {
    if (event.stage === 'calibrate' && event.done % 64 === 0) {
      process.stdout.write(`Calibrating: ${event.done} of ${event.total} pictures\n`);
    }
  });
  process.stdout.write(`${flagship}: ${made ? 'made' : 'up to date'}\n`);
}
