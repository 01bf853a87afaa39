/**
 * What the networks of docs/networks.md are measured by: the int8 files in models/ against the float ones that models/networks/export.py
 * writes. Prints the page's tables and puts them into it. What has been measured of the same files is kept: a run that was cut off goes on.
 *
 *     npm run networks [-- efficientnet-lite0 ...]
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { median } from 'simple-statistics';
import { openFloatClassifier, rowsOf } from '../src/cli/classifiers.ts';
import { bytes } from '../src/cli/output.ts';
import { findPictures, type PictureItem } from '../src/cli/pictures.ts';
import { readLabels } from '../src/model/labels.ts';
import { configuredOnnxRuntime } from '../src/cli/runtime.ts';
import { imageBatches } from '../src/model/image-batches.ts';
import { loadFixedModel } from '../src/model/load.ts';
import { readGraph } from '../src/model/source.ts';
import { openFloatSession } from '../src/quantize/onnx-runtime.ts';
import { decibels } from '../src/quantize/quantize.ts';
import type { Picture } from '../src/vision/picture.ts';
import { softmax, topK } from '../src/vision/ranking.ts';
import { resize } from '../src/vision/resize.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs/networks.md');
const cache = join(root, '.cache/networks');
/** Pixels within which a box is the same. */
const NEAR = 2;
/** Enough for the median to settle within a few percent. */
const TIMED_RUNS = 15;

/** Pictures between two notes of what has been measured. */
const CHUNK = 50;

type Row = readonly (string | number)[];

const networks: Readonly<Record<string, () => Promise<string>>> = {
  costs: measureCosts,
  'efficientnet-lite0': () => measureClassifier('efficientnet-lite0'),
  faces: measureFaces,
  'text-detector': measureText,
};

interface Tensor {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}
type Outputs = Readonly<Record<string, Tensor>>;
interface Face {
  readonly box: readonly number[];
  readonly score: number;
}
interface TextBox {
  readonly corners: readonly number[];
}
interface FaceNetworks {
  propose(picture: Picture): Promise<Outputs>;
  refine(pictures: readonly Picture[]): Promise<Outputs>;
  finish(pictures: readonly Picture[]): Promise<Outputs>;
}

/** An example's module: plain JavaScript, as a page has it. */
const example = async (file: string): Promise<unknown> =>
  import(new URL(`../examples/networks/${file}`, import.meta.url).href);

/** What has been measured, by what and of what. */
const kept = new Map<string, unknown>();
const keptFile = join(cache, 'measured.json');

/** @param item what is measured of the files */
async function remember<T>(files: readonly string[], item: string, measure: () => Promise<T>): Promise<T> {
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(file));
  const key = `${item} ${hash.digest('hex')}`;
  if (!kept.has(key)) {
    console.error(item);
    kept.set(key, await measure());
    await writeFile(keptFile, JSON.stringify([...kept]));
  }
  return kept.get(key) as T;
}

const floatFile = (name: string) => join(cache, 'float', `${name}.onnx`);
const int8File = (name: string) => join(root, `models/${name}.int8.onnx`);
const filesOf = (...names: string[]) => names.flatMap((name) => [floatFile(name), int8File(name)]);

/** Runs a float network of the cache in ONNX Runtime. */
async function runFloat(
  name: string,
  pictures: readonly Picture[],
  inputShape?: Readonly<Record<string, number>>,
): Promise<Outputs> {
  const graph = await readGraph(floatFile(name), inputShape ? { inputShape } : {});
  const names = graph.outputs.map((output) => output.name);
  const session = await openFloatSession(graph, names, { onnxRuntime: await configuredOnnxRuntime() });
  try {
    for await (const batch of imageBatches(graph, pictures, { batch: pictures.length })) {
      return Object.fromEntries(await session.run(batch));
    }
    return {};
  } finally {
    await session.dispose();
  }
}

/** Runs an int8 network of the repository in Octet. */
async function runInt8(
  name: string,
  pictures: readonly Picture[],
  inputShape?: Readonly<Record<string, number>>,
): Promise<Outputs> {
  const model = await loadFixedModel(int8File(name), {
    backend: 'wasm',
    ...(inputShape && { inputShape }),
  });
  const { outputs } = await model.run({ [model.inputs[0].name]: pictures });
  model.dispose();
  return outputs;
}

type Runner = typeof runInt8;

const sizeOf = ({ width, height }: Picture) => ({ height, width });

async function measureFaces(): Promise<string> {
  const { detectFaces } = (await example('faces.js')) as {
    detectFaces: (networks: FaceNetworks, picture: Picture) => Promise<Face[]>;
  };
  const networksOf = (run: Runner): FaceNetworks => ({
    propose: (picture) => run('faces-proposal', [picture], sizeOf(picture)),
    refine: (pictures) => run('faces-refinement', pictures),
    finish: (pictures) => run('faces-output', pictures),
  });
  const files = filesOf('faces-proposal', 'faces-refinement', 'faces-output');
  const rows: Row[] = [];
  for (const item of await findPictures([join(cache, 'photographs')])) {
    const measured = await remember([...files, ...item.files], `faces in ${photographOf(item)}`, async () => {
      const picture = await item.load();
      const expected = await detectFaces(networksOf(runFloat), picture);
      const actual = await detectFaces(networksOf(runInt8), picture);
      const overlaps = expected.map(({ box }) =>
        Math.max(0, ...actual.map((other) => overlapOf(box, other.box))),
      );
      return { expected: expected.length, actual: actual.length, overlaps };
    });
    if (measured.expected + measured.actual === 0) continue;
    const overlaps = measured.overlaps.map((value) => value.toFixed(2)).join(', ');
    rows.push([photographOf(item), measured.expected, measured.actual, overlaps]);
  }
  return table(['photograph', 'faces, float', 'faces, int8', 'intersection over union'], rows);
}

function overlapOf(a: readonly number[], b: readonly number[]): number {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const areaOf = ([left, top, right, bottom]: readonly number[]) => (right - left) * (bottom - top);
  return (width * height) / (areaOf(a) + areaOf(b) - width * height);
}

async function measureText(): Promise<string> {
  const { textInputShape, textBoxes } = (await example('text.js')) as {
    textInputShape: (picture: Picture, side: number) => { width: number; height: number };
    textBoxes: (map: Tensor, picture: Picture, shape: { width: number; height: number }) => TextBox[];
  };
  const rows: Row[] = [];
  const measure = async (title: string, sources: readonly string[], side: number) => {
    let [found, near, extra] = [0, 0, 0];
    const distances: number[] = [];
    for (const item of await findPictures(sources)) {
      const name = `text in ${photographOf(item)} at ${side}`;
      const measured = await remember([...filesOf('text-detector'), ...item.files], name, async () => {
        const picture = await item.load();
        const shape = textInputShape(picture, side);
        const stretched = resize(picture, shape.width, shape.height, { fit: 'stretch' });
        const boxesOf = async (run: Runner) =>
          textBoxes((await run('text-detector', [stretched], shape)).probability, picture, shape);
        const expected = await boxesOf(runFloat);
        const actual = await boxesOf(runInt8);
        const distanceOf = ({ corners }: TextBox, others: readonly TextBox[]) =>
          Math.min(
            // Farther than any corner of the picture: there is none.
            picture.width + picture.height,
            ...others.map((other) =>
              Math.max(...corners.map((value, i) => Math.abs(value - other.corners[i]))),
            ),
          );
        return {
          distances: expected.map((box) => distanceOf(box, actual)),
          extra: actual.filter((box) => distanceOf(box, expected) > NEAR).length,
        };
      });
      found += measured.distances.length;
      near += measured.distances.filter((distance) => distance <= NEAR).length;
      extra += measured.extra;
      distances.push(...measured.distances);
    }
    rows.push([title, side, found, near, extra, `${median(distances).toFixed(2)} pixels`]);
  };
  await measure('`page` of scikit-image', [join(cache, 'photographs/page.png')], 384);
  await measure('`page` of scikit-image', [join(cache, 'photographs/page.png')], 736);
  await measure('`text` of scikit-image', [join(cache, 'photographs/text.png')], 384);
  await measure('16 drawn ones that were not calibrated on', [join(cache, 'text-pictures/test')], 320);
  return table(
    ['pictures', 'shorter side', 'boxes, float', 'int8 within 2 pixels', 'others in int8', 'median distance'],
    rows,
  );
}

interface Agreement {
  same: number;
  signal: number;
  noise: number;
  /** First answers of both for each picture. */
  readonly answers: [string, string][];
}

async function measureClassifier(name: string): Promise<string> {
  const graph = await readGraph(floatFile(name), {});
  const labels = readLabels(graph.metadata);
  const float = await openFloatClassifier(name, graph);
  const model = await loadFixedModel(int8File(name), { backend: 'wasm' });
  const output = model.outputs[0].name;
  const best = (scores: ArrayLike<number>) => topK(softmax(scores), labels, 1)[0];

  const measureChunk = async (items: readonly PictureItem[]): Promise<Agreement> => {
    const result: Agreement = { same: 0, signal: 0, noise: 0, answers: [] };
    for (const item of items) {
      const picture = await item.load();
      const [expected] = await float.scores([picture]);
      const { outputs } = await model.run({ [model.inputs[0].name]: picture });
      const [actual] = rowsOf(Float32Array.from(outputs[output].data), 1);
      for (const [i, value] of Array.from(expected).entries()) {
        result.signal += value ** 2;
        result.noise += (value - actual[i]) ** 2;
      }
      const [a, b] = [best(expected), best(actual)];
      if (a.index === b.index) result.same++;
      result.answers.push([answerOf(a), answerOf(b)]);
    }
    return result;
  };

  const sources = {
    'CIFAR-10, 1,000 test pictures, enlarged': ['models/cifar10/test-1000.json'],
    'photographs of scikit-image and scikit-learn': [join(cache, 'photographs')],
  };
  const agreement: Row[] = [];
  const answers: Row[] = [];
  for (const [title, paths] of Object.entries(sources)) {
    const items = await findPictures(paths);
    let [same, signal, noise] = [0, 0, 0];
    for (let start = 0; start < items.length; start += CHUNK) {
      const some = items.slice(start, start + CHUNK);
      const chunk = await remember(filesOf(name), `${name}: ${title}, from ${start}`, () =>
        measureChunk(some),
      );
      same += chunk.same;
      signal += chunk.signal;
      noise += chunk.noise;
      if (items.length < 100) {
        answers.push(...some.map((item, i): Row => [photographOf(item), ...chunk.answers[i]]));
      }
    }
    agreement.push([
      title,
      items.length,
      `${((100 * same) / items.length).toFixed(1)} %`,
      `${decibels(signal, noise).toFixed(1)} dB`,
    ]);
  }
  await float.dispose();
  model.dispose();
  return [
    table(['pictures', 'how many', 'same first answer', 'SQNR of the logits'], agreement),
    table(['photograph', 'float', 'int8'], answers),
  ].join('\n\n');
}

/** Networks as the page lists them: title, file, size of the input where it is open. */
const COSTS: readonly (readonly [title: string, name: string, size?: { height: number; width: number }])[] = [
  ['EfficientNet-Lite0', 'efficientnet-lite0'],
  ['MTCNN: proposal', 'faces-proposal', { height: 77, width: 77 }],
  ['MTCNN: refinement', 'faces-refinement'],
  ['MTCNN: output', 'faces-output'],
  ['PP-OCRv4: text', 'text-detector', { height: 384, width: 768 }],
];

async function measureCosts(): Promise<string> {
  const rows: Row[] = [];
  for (const [title, name, size] of COSTS) {
    rows.push([title, ...(await remember([int8File(name)], `cost of ${name}`, () => costOf(name, size)))]);
  }
  return table(
    ['network', 'file', 'input', 'multiply-adds', 'activations, batch 1', 'ms a picture, wasm'],
    rows,
  );
}

const photographOf = ({ name }: PictureItem) => name.slice(name.lastIndexOf('/') + 1);
const answerOf = ({ label, probability }: { label: string; probability: number }) =>
  `${label} ${(100 * probability).toFixed(0)} %`;

/** Size of the file and of the input, multiply-adds, bytes of activations, and the median time of a run. */
async function costOf(name: string, size?: { height: number; width: number }): Promise<Row> {
  using model = await loadFixedModel(int8File(name), {
    backend: 'wasm',
    ...(size && { inputShape: { ...size } }),
  });
  const { memory, operations } = await model.plan();
  const macs = operations.reduce((sum, operation) => sum + operation.macs, 0);
  const [{ name: input, width, height }] = model.inputs;
  const picture: Picture = { width, height, data: new Uint8Array(width * height * 3) };
  const times: number[] = [];
  for (let run = 0; run < TIMED_RUNS; run++) {
    const start = performance.now();
    await model.run({ [input]: picture });
    times.push(performance.now() - start);
  }
  const middle = median(times);
  return [
    bytes((await stat(int8File(name))).size),
    `${size ? 'open, here ' : ''}${height}×${width}`,
    macs < 1e9 ? `${(macs / 1e6).toFixed(macs < 1e8 ? 1 : 0)} M` : `${(macs / 1e9).toFixed(1)} G`,
    bytes(memory.peakBytes),
    middle.toFixed(middle < 10 ? 1 : 0),
  ];
}

const table = (head: Row, rows: readonly Row[]) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/** Puts a network's tables between its two marks on the page. */
async function write(name: string, tables: string): Promise<void> {
  const text = await readFile(page, 'utf8');
  const block = new RegExp(`(<!-- measured: ${name} -->\n)[^]*?(<!-- end of ${name} -->)`);
  if (!block.test(text)) throw new Error(`${page} has no marks for ${name}`);
  const replaced = text.replace(block, (_, start: string, end: string) => `${start}\n${tables}\n\n${end}`);
  await writeFile(page, await format(replaced, { ...(await resolveConfig(page)), filepath: page }));
}

await mkdir(cache, { recursive: true });
const measured = await readFile(keptFile, 'utf8').catch(() => '[]');
for (const [key, value] of JSON.parse(measured) as [string, unknown][]) kept.set(key, value);
const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : Object.keys(networks)) {
  if (!(name in networks))
    throw new Error(`there is no network ${name}, only ${Object.keys(networks).join(', ')}`);
  const tables = await networks[name]();
  console.log(`${name}\n\n${tables}\n`);
  await write(name, tables);
}
