/**
 * Accuracy of the repository's models at few bits: the table in docs/quantization.md. Training pictures to calibrate on, test pictures to
 * measure with. Finished cells are kept in .cache/bits-table/, so that a run can be interrupted and goes on where it was.
 *
 *     npx tsx --conditions=octet:source scripts/bits-table.ts [options]
 *
 *     --models vgg16,resnet20        which models (default: all three)
 *     --cells W4A8,W3A3              which bits (default: all)
 *     --rounding gptq,descent        which ways to round (default: all)
 *     --calibration 512              training pictures to calibrate on
 *     --test 10000                   test pictures to measure with
 *     --held-out 0                   measure with so many training pictures instead: for choosing
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openFloatClassifier, openQuantizedClassifier, type OpenClassifier } from '../src/cli/classifiers.ts';
import { CIFAR10_CLASSES, readCifar10, type Cifar10Split } from '../src/cli/cifar10.ts';
import { configuredOnnxRuntime } from '../src/cli/runtime.ts';
import type { Graph } from '../src/graph/graph.ts';
import { evaluateClassifiers } from '../src/model/evaluate.ts';
import { imageBatches } from '../src/model/image-batches.ts';
import { readGraph } from '../src/model/source.ts';
import { encodeModel } from '../src/onnx/encode.ts';
import { calibrate, type Calibration } from '../src/quantize/calibrate.ts';
import type { Batch } from '../src/quantize/onnx-runtime.ts';
import { quantizeCalibrated } from '../src/quantize/quantize.ts';
import { parseRecipe, type Recipe } from '../src/quantize/recipe.ts';
import { reconstruct } from '../src/quantize/reconstruct.ts';
import type { Picture } from '../src/vision/picture.ts';

const MODELS = ['vgg16', 'resnet20', 'mobilenetv2'];
const CELLS = ['W8A8', 'W4A8', 'W3A8', 'W2A8', 'W4A4', 'W3A3'];
const ROUNDINGS = ['nearest', 'gptq', 'descent'] as const;
/** Training pictures that are never calibrated on. */
const HELD_OUT = 10_000;

const MULTIPLYING = new Set(['Conv', 'Gemm', 'MatMul']);

type Rounding = (typeof ROUNDINGS)[number];

interface Cell {
  readonly top1: number;
  readonly bytes: number;
  readonly seconds: number;
}

const { values: options } = parseArgs({
  options: {
    models: { type: 'string', default: MODELS.join(',') },
    cells: { type: 'string', default: CELLS.join(',') },
    rounding: { type: 'string', default: ROUNDINGS.join(',') },
    calibration: { type: 'string', default: '512' },
    test: { type: 'string', default: '10000' },
    'held-out': { type: 'string', default: '0' },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, '.cache/bits-table');
const train = await readCifar10('train');
const test = await readCifar10('test');

const pictureAt = (split: Cifar10Split, index: number): Picture => ({
  width: 32,
  height: 32,
  data: split.pixels(index),
});
const calibrationCount = Number(options.calibration);
const stride = Math.floor((train.count - HELD_OUT) / calibrationCount);
const calibrationPictures = Array.from({ length: calibrationCount }, (_, i) => pictureAt(train, i * stride));
const heldOut = Number(options['held-out']);
const measured = Array.from({ length: heldOut || Number(options.test) }, (_, i) => {
  const [split, index] = heldOut ? [train, train.count - HELD_OUT + i] : [test, i];
  return { label: split.label(index), load: () => Promise.resolve(pictureAt(split, index)) };
});

/** Everything that a cell depends on beside its own name. */
async function codeHash(): Promise<string> {
  const hash = createHash('sha256');
  hash.update(await readFile(fileURLToPath(import.meta.url)));
  for (const folder of ['src/quantize', 'src/graph']) {
    const files = (await readdir(join(root, folder), { recursive: true })).filter((file) =>
      file.endsWith('.ts'),
    );
    for (const file of files.sort()) hash.update(await readFile(join(root, folder, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * The first and the last layer, and what the last one reads, keep 8 bits. So does what is not multiplied by weights, as residual sums and
 * what goes into them: published results count the bits of a convolution's operands.
 */
function recipeOf(
  layers: readonly (readonly string[])[],
  lastInput: string,
  notMultiplied: readonly string[],
  cell: string,
  rounding: Rounding,
): Recipe {
  const [, weights, activations] = /^W(\d)A(\d)$/.exec(cell)!.map(Number);
  const eight = (names: readonly string[]) => ({
    match: names[0],
    weights: { bits: 8, rounding: 'auto' as const },
  });
  return parseRecipe({
    weights: { bits: weights, rounding: weights === 8 ? 'auto' : rounding },
    activations: { bits: activations },
    layers: [
      eight(layers[0]),
      eight(layers.at(-1)!),
      ...[lastInput, ...notMultiplied].map((match) => ({ match, activations: { bits: 8 } })),
    ],
  });
}

/** Quantized values that no convolution and no dense layer reads. */
function valuesNotMultiplied({ graph, layers }: Calibration): string[] {
  const multiplied = new Set(
    graph.nodes.filter(({ op }) => MULTIPLYING.has(op)).map(({ inputs }) => layers.values.get(inputs[0])),
  );
  const quantizers = new Set([...multiplied].map((value) => value && (value.sharedWith ?? value.name)));
  return [...layers.values.values()]
    .filter(({ name, producer, sharedWith }) => producer && sharedWith === undefined && !quantizers.has(name))
    .map(({ name }) => name);
}

async function measure(open: Promise<OpenClassifier>): Promise<number> {
  const classifier = await open;
  try {
    const { results } = await evaluateClassifiers([classifier], measured, {
      classes: CIFAR10_CLASSES,
      batch: 32,
    });
    return results[0].top1;
  } finally {
    await classifier.dispose();
  }
}

async function cached(key: string, make: () => Promise<Cell>): Promise<Cell> {
  const file = join(cache, `${key}.json`);
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Cell;
  } catch {
    const cell = await make();
    await writeFile(file, `${JSON.stringify(cell)}\n`);
    return cell;
  }
}

await mkdir(cache, { recursive: true });
const hash = await codeHash();
const onnxRuntime = await configuredOnnxRuntime();
const setting = `${options.calibration}-${heldOut ? `held${heldOut}` : options.test}`;
console.log(
  '| model | bits | rounding | top-1, % | file, of float32 | seconds |\n| --- | --- | --- | --- | --- | --- |',
);
const row = (
  model: string,
  bits: string,
  rounding: string,
  { top1, bytes, seconds }: Cell,
  floatBytes: number,
): void =>
  console.log(
    `| ${model} | ${bits} | ${rounding} | ${(100 * top1).toFixed(2)} | ${(bytes / floatBytes).toFixed(3)} | ${seconds.toFixed(0)} |`,
  );
for (const model of options.models.split(',')) {
  const float = await readGraph(join(root, `models/${model}-cifar10.onnx`));
  const batches: Batch[] = [];
  for await (const batch of imageBatches(float, calibrationPictures)) batches.push(batch);
  const calibration = await calibrate(float, batches, { onnxRuntime });
  const floatBytes = [...calibration.graph.constants.values()].reduce(
    (sum, { data }) => sum + 4 * data.length,
    0,
  );
  const floatCell = await cached(`${model}-float-${setting}`, async () => ({
    top1: await measure(openFloatClassifier(model, float)),
    bytes: floatBytes,
    seconds: 0,
  }));
  row(model, 'float', '', floatCell, floatBytes);
  const layers = [...calibration.layers.weighted.values()];
  for (const bits of options.cells.split(',')) {
    for (const rounding of options.rounding.split(',') as Rounding[]) {
      if (bits.startsWith('W8') && rounding !== 'nearest') continue;
      const cell = await cached(`${model}-${bits}-${rounding}-${setting}-${hash}`, async () => {
        const started = performance.now();
        const lastInput = layers.at(-1).input;
        const recipe = recipeOf(
          layers.map(({ names }) => names),
          lastInput,
          valuesNotMultiplied(calibration),
          bits,
          rounding,
        );
        const reconstruction =
          rounding === 'nearest'
            ? undefined
            : await reconstruct(calibration, batches, { recipe, onnxRuntime });
        const { graph } = quantizeCalibrated(calibration, recipe, reconstruction);
        const seconds = (performance.now() - started) / 1000;
        return {
          top1: await measure(openQuantizedClassifier(bits, graph, { backend: 'wasm' })),
          bytes: fileBytes(graph),
          seconds,
        };
      });
      row(model, bits, rounding, cell, floatBytes);
    }
  }
}

function fileBytes(graph: Graph): number {
  return encodeModel(graph).length;
}
process.exit(0);
