/**
 * What the networks of docs/networks.md are measured by: the int8 files in models/ against the float ones that models/networks/export.py
 * writes. Prints the page's tables and puts them into it.
 *
 *     npm run networks [-- efficientnet-lite0 ...]
 */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { median } from 'simple-statistics';
import { openFloatClassifier, rowsOf } from '../src/cli/classifiers.ts';
import { findPictures, type PictureItem } from '../src/cli/pictures.ts';
import { readLabels } from '../src/model/labels.ts';
import { configuredOnnxRuntime } from '../src/cli/runtime.ts';
import { imageBatches } from '../src/model/image-batches.ts';
import { loadModel } from '../src/model/load.ts';
import type { Model } from '../src/model/model.ts';
import { readGraph } from '../src/model/source.ts';
import { openFloatSession } from '../src/quantize/onnx-runtime.ts';
import { decibels } from '../src/quantize/quantize.ts';
import type { Picture } from '../src/vision/picture.ts';
import { softmax, topK } from '../src/vision/ranking.ts';
import { resize } from '../src/vision/resize.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs/networks.md');
const cache = join(root, '.cache/networks');
/** Enough for the median to settle within a few percent. */
const TIMED_RUNS = 15;

type Row = readonly (string | number)[];

const networks: Readonly<Record<string, () => Promise<string>>> = {
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

/** Runs a float network of the cache in ONNX Runtime. */
async function runFloat(
  name: string,
  pictures: readonly Picture[],
  inputShape?: Readonly<Record<string, number>>,
): Promise<Outputs> {
  const graph = await readGraph(join(cache, 'float', `${name}.onnx`), inputShape ? { inputShape } : {});
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
  const model = await loadModel(join(root, `models/${name}.int8.onnx`), {
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
  const rows: Row[] = [];
  for (const item of await findPictures([join(cache, 'photographs')])) {
    const picture = await item.load();
    const expected = await detectFaces(networksOf(runFloat), picture);
    const actual = await detectFaces(networksOf(runInt8), picture);
    if (expected.length + actual.length === 0) continue;
    const overlaps = expected.map(({ box }) =>
      Math.max(0, ...actual.map((other) => overlapOf(box, other.box))),
    );
    rows.push([
      photographOf(item),
      expected.length,
      actual.length,
      overlaps.map((value) => value.toFixed(2)).join(', '),
    ]);
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
      const picture = await item.load();
      const shape = textInputShape(picture, side);
      const stretched = resize(picture, shape.width, shape.height, { fit: 'stretch' });
      const boxesOf = async (run: Runner) =>
        textBoxes((await run('text-detector', [stretched], shape)).probability, picture, shape);
      const expected = await boxesOf(runFloat);
      const actual = await boxesOf(runInt8);
      found += expected.length;
      extra += Math.max(0, actual.length - expected.length);
      for (const { corners } of expected) {
        const distance = Math.min(
          ...actual.map((other) =>
            Math.max(...corners.map((value, i) => Math.abs(value - other.corners[i]))),
          ),
        );
        if (distance <= 2) near++;
        distances.push(distance);
      }
    }
    rows.push([title, side, found, near, extra, `${median(distances).toFixed(2)} pixels`]);
  };
  await measure('`page` of scikit-image', [join(cache, 'photographs/page.png')], 384);
  await measure('`page` of scikit-image', [join(cache, 'photographs/page.png')], 736);
  await measure('16 drawn ones that were not calibrated on', [join(cache, 'text-pictures/test')], 320);
  return table(
    ['pictures', 'shorter side', 'boxes, float', 'int8 within 2 pixels', 'more in int8', 'median distance'],
    rows,
  );
}

async function measureClassifier(name: string): Promise<string> {
  const graph = await readGraph(join(cache, 'float', `${name}.onnx`), {});
  const labels = readLabels(graph.metadata);
  const float = await openFloatClassifier(name, graph);
  const path = join(root, `models/${name}.int8.onnx`);
  const model = await loadModel(await readGraph(path, {}), { backend: 'wasm' });
  const output = model.outputs[0].name;

  /** Scores of both, of one picture. */
  const scoresOf = async (item: PictureItem) => {
    const picture = await item.load();
    const [expected] = await float.scores([picture]);
    const { outputs } = await model.run({ [model.inputs[0].name]: picture });
    return { expected, actual: rowsOf(Float32Array.from(outputs[output].data), 1)[0] };
  };
  const best = (scores: ArrayLike<number>) => topK(softmax(scores), labels, 1)[0];

  const sources = {
    'CIFAR-10, 1,000 test pictures, enlarged': ['models/cifar10/test-1000.json'],
    'photographs of scikit-image and scikit-learn': [join(cache, 'photographs')],
  };
  const agreement: Row[] = [];
  const answers: Row[] = [];
  for (const [title, paths] of Object.entries(sources)) {
    let [same, signal, noise] = [0, 0, 0];
    const items = await findPictures(paths);
    for (const item of items) {
      const { expected, actual } = await scoresOf(item);
      for (const [i, value] of Array.from(expected).entries()) {
        signal += value ** 2;
        noise += (value - actual[i]) ** 2;
      }
      const [a, b] = [best(expected), best(actual)];
      if (a.index === b.index) same++;
      if (items.length < 100) answers.push([photographOf(item), answerOf(a), answerOf(b)]);
    }
    agreement.push([
      title,
      items.length,
      `${((100 * same) / items.length).toFixed(1)} %`,
      `${decibels(signal, noise).toFixed(1)} dB`,
    ]);
  }
  await float.dispose();
  const size = model.inputs[0];
  const picture = {
    width: size.width,
    height: size.height,
    data: new Uint8Array(size.width * size.height * 3),
  };
  const cost = await costOf(path, model, picture);
  model.dispose();
  return [
    table(['file', 'activations', 'multiply-adds', 'ms a picture, wasm'], [cost]),
    table(['pictures', 'how many', 'same first answer', 'SQNR of the logits'], agreement),
    table(['photograph', 'float', 'int8'], answers),
  ].join('\n\n');
}

const photographOf = ({ name }: PictureItem) => name.slice(name.lastIndexOf('/') + 1);
const answerOf = ({ label, probability }: { label: string; probability: number }) =>
  `${label} ${(100 * probability).toFixed(0)} %`;

/** Size of the file, bytes of activations, multiply-adds, and the median time of a run. */
async function costOf(path: string, model: Model, picture: Picture): Promise<Row> {
  const { memory, operations } = await model.plan();
  const macs = operations.reduce((sum, operation) => sum + operation.macs, 0);
  const times: number[] = [];
  for (let run = 0; run < TIMED_RUNS; run++) {
    const { timings } = await model.run({ [model.inputs[0].name]: picture });
    times.push(timings.totalMs);
  }
  return [
    `${((await stat(path)).size / 1e6).toFixed(2)} MB`,
    `${(memory.peakBytes / 1e6).toFixed(2)} MB`,
    `${(macs / 1e6).toFixed(0)} M`,
    median(times).toFixed(0),
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

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : Object.keys(networks)) {
  if (!(name in networks))
    throw new Error(`there is no network ${name}, only ${Object.keys(networks).join(', ')}`);
  const tables = await networks[name]();
  console.log(`${name}\n\n${tables}\n`);
  await write(name, tables);
}
