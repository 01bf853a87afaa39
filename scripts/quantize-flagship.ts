/**
 * Makes models/vgg16-cifar10.int8.onnx from the float model and the calibration sheet, where it is not there or was made from other
 * files or by another quantizer. Tests, demo and benchmarks start from it.
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

const root = fileURLToPath(new URL('..', import.meta.url));
const float = join(root, 'models/vgg16-cifar10.onnx');
const calibration = join(root, 'models/cifar10/calibration-512.json');
const cache = join(root, '.cache');

/** Where the int8 model is. */
export const flagship = join(root, 'models/vgg16-cifar10.int8.onnx');

/** What the int8 model is made from: the two inputs, and the code that makes it. */
async function sourceFiles(): Promise<string[]> {
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

async function sourceHash(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await sourceFiles()) hash.update(await readFile(file));
  return hash.digest('hex');
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/**
 * Makes the int8 model unless it is there. One process at a time: others wait for the one that has begun.
 * @returns whether it was made anew
 */
export async function makeFlagship(onProgress?: (event: ProgressEvent) => void): Promise<boolean> {
  await mkdir(cache, { recursive: true });
  const hash = await sourceHash();
  const stamp = join(cache, 'flagship.sha256');
  const isFresh = async () =>
    (await exists(flagship)) && (await readFile(stamp, 'utf8').catch(() => '')) === hash;
  if (await isFresh()) return false;
  const release = await acquireLock(join(cache, 'flagship.lock'));
  try {
    if (await isFresh()) return false;
    const graph = await readGraph(float);
    const pictures = await findPictures([calibration]);
    const { graph: quantized } = await quantize(graph, imageBatches(graph, loadPictures(pictures)), {
      imageCount: pictures.length,
      onnxRuntime: await configuredOnnxRuntime(),
      ...(onProgress && { onProgress }),
    });
    // Written beside and renamed, so that a file of the final name is whole.
    await writeFile(`${flagship}.partial`, encodeModel(quantized));
    await rename(`${flagship}.partial`, flagship);
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
