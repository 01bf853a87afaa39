import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { readPreprocessing } from '../src/program/input.ts';
import { decodeModel } from '../src/onnx/decode-model.ts';
import { readSheet } from '../src/vision/sheet.ts';
import { flagship as int8Path, makeFlagship } from '../scripts/quantize-flagship.ts';
import type { Preprocessing } from './contenders/contender.ts';

/** The network and the pictures that every engine gets. */
export interface Flagship {
  /** Addresses, relative to the benchmark's pages. */
  readonly urls: Readonly<Record<'float' | 'int8', string>>;
  readonly preprocessing: Preprocessing;
  /** uint8 pixels of `batch` test pictures from `first` on, wrapping around: [batch, 32, 32, 3]. */
  batchFrom(first: number, batch: number): Uint8Array;
}

const root = path.resolve(import.meta.dirname, '..');
const floatPath = 'models/vgg16-cifar10.onnx';

/** Quantizes the flagship where that has not been done yet. */
export async function loadFlagship(): Promise<Flagship> {
  await makeFlagship();
  const { metadata } = decodeModel(await readFile(floatPath));
  const preprocessing = readPreprocessing(metadata);
  if (!preprocessing) throw new Error(`${floatPath} says nothing of its preprocessing`);
  const index: unknown = JSON.parse(await readFile('models/cifar10/test-1000.json', 'utf8'));
  const { pictures } = await readSheet(await readFile('models/cifar10/test-1000.png'), index);
  return {
    urls: { float: floatPath, int8: path.relative(root, int8Path) },
    preprocessing,
    batchFrom(first, batch) {
      const pixels = new Uint8Array(batch * 32 * 32 * 3);
      for (let i = 0; i < batch; i++) {
        pixels.set(pictures[(first + i) % pictures.length].data, i * 32 * 32 * 3);
      }
      return pixels;
    },
  };
}
