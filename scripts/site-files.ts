/**
 * Makes what the page fetches and the repository does not hold, into .cache/site: its models, compressed; the contact sheet of test
 * pictures in rows, so that the first ones are there at once; the first picture; what each model says of all of them; and the typeface.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import sharp from 'sharp';
import subsetFont from 'subset-font';
import { loadModel, type Comparison } from '../src/index.ts';
import { readSheet, type RecipeInput, type Sheet } from '../src/index-quantize.ts';
import { makeFlagship, makeInt8 } from './quantize-flagship.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, '.cache/site');

/** The picture that the page answers first, of the test sheet: a horse, recognizable at 32×32. */
const FIRST_PICTURE = 17;

/** Models for the small pictures, by the ids that the page knows them by. Files under models/. */
const MODELS = {
  'resnet20-w4': 'resnet20-cifar10.w4.int8.onnx',
  resnet20: 'resnet20-cifar10.int8.onnx',
  'resnet20-w4a4': 'resnet20-w4a4-cifar10.onnx',
  'resnet20-w2a2': 'resnet20-w2a2-cifar10.onnx',
  mobilenetv2: 'mobilenetv2-cifar10.int8.onnx',
  vgg16: 'vgg16-cifar10.int8.onnx',
} as const;

/** What a model says of the test pictures: shown before a visitor has it say so again. */
export interface SavedResult {
  /** Class of each test picture, a digit each. */
  readonly predicted: string;
  /** The WebAssembly backend beside the reference, on the first picture. */
  readonly comparison: Comparison;
}

/**
 * Half the bytes of 8 bits, for the first answer on a slow line: 92.19 % of all 10,000 test pictures, where 8 bits have 92.21 %
 * (docs/quantization.md). The first and the last layer keep 8 bits.
 */
const FOUR_BITS: RecipeInput = {
  weights: { bits: 4, rounding: 'gptq' },
  layers: ['/conv/Conv', '/fc/Gemm'].map((match) => ({
    match,
    weights: { bits: 8, rounding: 'nearest' },
  })),
};

async function makeModels(): Promise<void> {
  await makeFlagship();
  await makeInt8({
    float: join(root, 'models/resnet20-cifar10.onnx'),
    int8: join(root, 'models', MODELS['resnet20-w4']),
    name: 'site-resnet20-w4',
    recipe: FOUR_BITS,
  });
  for (const [name, pictures] of [
    ['resnet20', Infinity],
    ['mobilenetv2', 128],
  ] as const) {
    await makeInt8({
      float: join(root, `models/${name}-cifar10.onnx`),
      int8: join(root, `models/${name}-cifar10.int8.onnx`),
      name: `site-${name}`,
      pictures,
    });
  }
}

async function testSheet(): Promise<{ readonly png: Buffer; readonly sheet: Sheet }> {
  const png = await readFile(join(root, 'models/cifar10/test-1000.png'));
  const index: unknown = JSON.parse(await readFile(join(root, 'models/cifar10/test-1000.json'), 'utf8'));
  return { png, sheet: await readSheet(new Uint8Array(png), index) };
}

async function cutRows(png: Buffer, { tile, columns, labels }: Sheet): Promise<void> {
  const rows = Math.ceil(labels.length / columns);
  for (let row = 0; row < rows; row++) {
    await sharp(png)
      .extract({ left: 0, top: row * tile, width: columns * tile, height: tile })
      .png({ compressionLevel: 9, adaptiveFiltering: true })
      .toFile(join(out, `row-${String(row).padStart(2, '0')}.png`));
  }
}

/** The typeface's letters that the page's own words have, in the weights that it uses: half the bytes. Others are the system's. */
const FONT = {
  file: 'node_modules/@fontsource-variable/geist/files/geist-latin-wght-normal.woff2',
  letters: `${String.fromCharCode(...Array.from({ length: 95 }, (_, index) => 32 + index))}–…×−·’”“÷‑`,
  weights: { min: 400, max: 700 },
};

async function cutFont(font: Buffer): Promise<void> {
  const cut = await subsetFont(font, FONT.letters, {
    targetFormat: 'woff2',
    variationAxes: { wght: FONT.weights },
  });
  await writeFile(join(out, 'geist.woff2'), cut);
}

/** Kept for as long as the model and the pictures stay the same: VGG16's takes longer than all else. */
async function resultOf(id: string, file: string, png: Buffer, sheet: Sheet): Promise<SavedResult> {
  const made = createHash('sha256')
    .update(await readFile(file))
    .update(png)
    .digest('hex');
  const kept = join(out, `${id}.result.json`);
  const known = await readFile(kept, 'utf8').catch(() => 'null');
  const before = JSON.parse(known) as { readonly made: string; readonly result: SavedResult } | null;
  if (before?.made === made) return before.result;
  using model = await loadModel(file, { backend: 'wasm', threads: 1 });
  const { predictions } = await model.classify(sheet.pictures, { topK: 1 });
  const comparison = await model.verify({ [model.inputs[0].name]: sheet.pictures[FIRST_PICTURE] });
  const result = { predicted: predictions.map(([best]) => best.index).join(''), comparison };
  await writeFile(kept, JSON.stringify({ made, result }));
  return result;
}

/** Makes what is missing or was made from other files. */
export async function makeSiteFiles(): Promise<void> {
  await makeModels();
  const files = await Promise.all(
    Object.values(MODELS).map(async (file) => readFile(join(root, 'models', file))),
  );
  const { png, sheet } = await testSheet();
  const font = await readFile(join(root, FONT.file));
  const hash = createHash('sha256');
  for (const bytes of [await readFile(fileURLToPath(import.meta.url)), png, font, ...files])
    hash.update(bytes);
  const stamp = join(out, 'stamp');
  const made = hash.digest('hex');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === made) return;

  await mkdir(out, { recursive: true });
  await cutRows(png, sheet);
  await cutFont(font);
  const results: Record<string, SavedResult> = {};
  for (const [index, [id, file]] of Object.entries(MODELS).entries()) {
    // Hosts compress what they know the type of, and models are not among it.
    await writeFile(join(out, `${id}.onnx.gz`), await promisify(gzip)(files[index], { level: 9 }));
    results[id] = await resultOf(id, join(root, 'models', file), png, sheet);
  }
  await writeFile(join(out, 'results.json'), JSON.stringify(results));
  const { data } = sheet.pictures[FIRST_PICTURE];
  const first = { index: FIRST_PICTURE, rgb: Buffer.from(data).toString('base64') };
  await writeFile(join(out, 'first-picture.json'), JSON.stringify(first));
  await writeFile(stamp, made);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await makeSiteFiles();
  process.stdout.write(`${out}: up to date\n`);
}
