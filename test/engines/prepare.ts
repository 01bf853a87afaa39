/** The files that the engines are compared on: three networks, quantized, and a few pictures. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flagship, makeFlagship } from '../../scripts/quantize-flagship.ts';
import { imageBatches } from '../../src/model/image-batches.ts';
import { readGraph } from '../../src/model/source.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { readSheet } from '../../src/vision/sheet.ts';
import { PICTURES } from './digests.ts';

const models = fileURLToPath(new URL('../../models/', import.meta.url));

/** Pictures that the two smaller networks are calibrated on: what they answer does not matter here. */
const CALIBRATION = 16;

export async function prepareFiles(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const index: unknown = JSON.parse(await readFile(join(models, 'cifar10/calibration-512.json'), 'utf8'));
  const sheet = await readSheet(await readFile(join(models, 'cifar10/calibration-512.png')), index);
  const pictures = sheet.pictures.slice(0, CALIBRATION);
  const pixels = pictures.slice(0, PICTURES).map(({ data }) => data);
  await writeFile(join(folder, 'pictures.bin'), Buffer.concat(pixels));
  for (const name of ['resnet20', 'mobilenetv2']) {
    const graph = await readGraph(join(models, `${name}-cifar10.onnx`));
    const quantized = await quantize(graph, imageBatches(graph, pictures));
    await writeFile(join(folder, `${name}.onnx`), encodeModel(quantized.graph));
  }
  await makeFlagship();
  await writeFile(join(folder, 'vgg16.onnx'), await readFile(flagship));
}
