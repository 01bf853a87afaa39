/**
 * Measures what observers and corrections do for a model at several bits: the tables in docs/quantization.md. Training
 * images only, some to calibrate on and others to measure with, so that defaults are not tuned on the test set.
 *
 *     npx tsx --conditions=octet:source scripts/compare-recipes.ts [model, by default the flagship]
 */
import { readFile } from 'node:fs/promises';
import type { Graph } from '../src/graph/graph.ts';
import { imageBatches } from '../src/model/image-batches.ts';
import { decodeModel } from '../src/onnx/decode-model.ts';
import { calibrate, type Calibration } from '../src/quantize/calibrate.ts';
import { openFloatSession } from '../src/quantize/onnx-runtime.ts';
import { decibels, quantizeCalibrated } from '../src/quantize/quantize.ts';
import type { RecipeInput } from '../src/quantize/recipe.ts';
import { readSheet } from '../src/vision/sheet.ts';

const CALIBRATION_IMAGES = 128;
const MEASURED_IMAGES = 96;

const models = new URL('../models/', import.meta.url);
const [file = new URL('vgg16-cifar10.onnx', models)] = process.argv.slice(2);
const float = decodeModel(await readFile(file));
const { pictures } = await readSheet(
  await readFile(new URL('cifar10/calibration-512.png', models)),
  JSON.parse(await readFile(new URL('cifar10/calibration-512.json', models), 'utf8')),
);
const measured = pictures.slice(CALIBRATION_IMAGES, CALIBRATION_IMAGES + MEASURED_IMAGES);

async function logitsOf(graph: Graph): Promise<Float32Array[]> {
  const session = await openFloatSession(graph, ['logits']);
  try {
    const results: Float32Array[] = [];
    for await (const batch of imageBatches(graph, measured, { batch: 32 })) {
      results.push((await session.run(batch)).get('logits')!.data);
    }
    return results;
  } finally {
    await session.dispose();
  }
}

const calibrateWith = (recipe: RecipeInput): Promise<Calibration> =>
  calibrate(float, imageBatches(float, pictures.slice(0, CALIBRATION_IMAGES)), { recipe });

const plain = await calibrateWith({});
const expected = await logitsOf(plain.graph);

async function measure(name: string, calibration: Calibration, recipe: RecipeInput): Promise<void> {
  const actual = await logitsOf(quantizeCalibrated(calibration, recipe).graph);
  let signal = 0;
  let noise = 0;
  expected.forEach((batch, i) => {
    batch.forEach((x, k) => {
      signal += x * x;
      noise += (x - actual[i][k]) ** 2;
    });
  });
  console.log(`| ${name} | ${decibels(signal, noise).toFixed(1)} |`);
}

console.log('| recipe | SQNR of the logits, dB |\n| --- | --- |');
for (const bits of [8, 6, 5, 4, 3, 2]) {
  for (const observer of ['minmax', 'movingAverage', 'percentile', 'mse', 'entropy'] as const) {
    if (bits < 8 && (observer === 'movingAverage' || observer === 'percentile')) continue;
    await measure(`W8A${bits}, ${observer}`, plain, { activations: { bits, observer } });
  }
}
for (const bits of [8, 4, 3]) {
  for (const bias of [true, false]) {
    const name = `W${bits}A8, ${bias ? 'with' : 'without'} bias correction`;
    await measure(name, plain, { weights: { bits }, corrections: { bias } });
  }
}
const equalized = await calibrateWith({ corrections: { equalize: true } });
for (const bits of [8, 4]) {
  const recipe: RecipeInput = { weights: { bits, perChannel: false } };
  await measure(`W${bits}A8, one scale a tensor`, plain, recipe);
  await measure(`W${bits}A8, one scale a tensor, equalized`, equalized, recipe);
}
