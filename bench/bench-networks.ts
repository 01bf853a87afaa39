/** The networks that every engine gets, and their pictures. */
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { makeFlagship, makeInt8 } from '../scripts/quantize-flagship.ts';
import { decodeModel } from '../src/onnx/decode-model.ts';
import { readPreprocessing } from '../src/program/input.ts';
import { resize } from '../src/vision/resize.ts';
import { readSheet } from '../src/vision/sheet.ts';
import type { Contender, Preprocessing } from './contenders/contender.ts';

export const BENCH_NETWORKS = ['vgg16', 'mobilenetv2', 'efficientnet-lite0', 'resnet18'] as const;

export type BenchNetworkName = (typeof BENCH_NETWORKS)[number];

export interface BenchNetwork {
  readonly name: BenchNetworkName;
  readonly preprocessing: Preprocessing;
  /** Of its pictures, in pixels. */
  readonly side: number;
  /** The file that a contender runs, relative to the benchmark's pages. */
  urlOf(contender: Pick<Contender, 'library' | 'model'>): string;
  /** The same in the file system. */
  fileOf(contender: Pick<Contender, 'library' | 'model'>): string;
  /** uint8 pixels of `batch` test pictures from `first` on, wrapping around: [batch, side, side, 3]. */
  batchFrom(first: number, batch: number): Uint8Array;
}

const root = path.resolve(import.meta.dirname, '..');
const cache = path.join(root, '.cache/networks');
const python = path.join(root, '.cache/litert/bin/python');
/** Calibrated on as many pictures as the LiteRT files (bench/models/make_models.py). */
const CALIBRATION_PICTURES = 64;

/** @param litert whether its LiteRT files are needed too, which take a Python environment */
export async function loadNetwork(name: BenchNetworkName, litert = true): Promise<BenchNetwork> {
  const isFlagship = name === 'vgg16';
  const made = litert || !isFlagship ? await makeFiles(name) : '';
  const float = isFlagship ? path.join(root, 'models/vgg16-cifar10.onnx') : path.join(made, `${name}.onnx`);
  const int8 = float.replace(/onnx$/, 'int8.onnx');
  if (isFlagship) await makeFlagship();
  else await makeInt8({ float, int8, name, pictures: CALIBRATION_PICTURES });
  const { metadata } = decodeModel(await readFile(float));
  const preprocessing = readPreprocessing(metadata);
  if (!preprocessing) throw new Error(`${float} says nothing of its preprocessing`);
  const side = isFlagship ? 32 : 224;
  const batchFrom = await testPictures(side);
  const fileOf: BenchNetwork['fileOf'] = ({ library, model }) => {
    if (library === 'litert.js') return path.join(made, `${name}${model === 'int8' ? '.int8' : ''}.tflite`);
    return model === 'int8' ? int8 : float;
  };
  const urlOf: BenchNetwork['urlOf'] = (contender) => {
    const file = fileOf(contender);
    return file.startsWith(cache)
      ? `networks/${path.relative(cache, file)}`
      : `models/${path.basename(file)}`;
  };
  return { name, preprocessing, side, urlOf, fileOf, batchFrom };
}

/** Runs bench/models/make_models.py, which makes what is not in the cache. @returns the folder */
async function makeFiles(name: BenchNetworkName): Promise<string> {
  const script = path.join(root, 'bench/models/make_models.py');
  await access(python).catch((cause: unknown) => {
    throw new Error(
      `the networks' files are made in Python: see the head of ${script} for how to set it up`,
      {
        cause,
      },
    );
  });
  const { stdout } = await promisify(execFile)(python, [script, name], { maxBuffer: 2 ** 28 });
  return path.dirname(stdout.trim().split('\n').at(-1));
}

async function testPictures(side: number): Promise<BenchNetwork['batchFrom']> {
  const index: unknown = JSON.parse(await readFile(path.join(root, 'models/cifar10/test-1000.json'), 'utf8'));
  const { pictures } = await readSheet(
    await readFile(path.join(root, 'models/cifar10/test-1000.png')),
    index,
  );
  return (first, batch) => {
    const pixels = new Uint8Array(batch * side * side * 3);
    for (let i = 0; i < batch; i++) {
      const picture = resize(pictures[(first + i) % pictures.length], side, side);
      pixels.set(picture.data, i * side * side * 3);
    }
    return pixels;
  };
}
