import { type Command, InvalidArgumentError, Option } from 'commander';
import { InputError } from '../errors.ts';
import { compareBackends } from '../model/compare.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadModel } from '../model/load.ts';
import type { Comparison, InputShape } from '../model/model.ts';
import type { BackendName } from '../schedule/session.ts';
import { readGraph } from '../model/source.ts';
import { isQuantized } from '../graph/patterns.ts';
import { compareWithOnnxRuntime, type OnnxRuntimeComparison } from '../inspect/onnx-runtime.ts';
import { compareModels, type ValueComparison } from '../quantize/compare.ts';
import { checkWritable, writeWhole } from './files.ts';
import { shareMetadata } from './metadata.ts';
import {
  activationLimit,
  DEFAULT_IMAGES,
  inputShapeOption,
  maxActivationBytesOption,
  positiveInteger,
  inputSizes,
} from './options.ts';
import { counted, decibels, onProgress, print, printJson, progress, table } from './output.ts';
import { findPictures, loadPictures, SOURCES_HELP, type PictureItem } from './pictures.ts';
import { CheckFailure, type CommandContext } from './context.ts';
import { configuredOnnxRuntime } from './runtime.ts';

interface CompareCommandOptions {
  readonly backend?: string;
  readonly with?: 'onnxruntime';
  readonly dump?: string;
  readonly threshold?: number;
  readonly images: string[];
  readonly limit: number;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly json?: boolean;
}

const BACKENDS: readonly string[] = ['webgpu', 'wasm', 'reference'];

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'ONNX file')
    .argument('[others...]', 'a second ONNX file, made from the first; with --backend: pictures, as --images')
    .option(
      '--backend <a,b>',
      'compare these two backends: webgpu, wasm, reference; with --with: the one that Octet runs on',
    )
    .addOption(
      new Option(
        '--with <engine>',
        'compare every integer of a quantized model with this engine’s, and name the first that differs',
      ).choices(['onnxruntime']),
    )
    .option(
      '--dump <file>',
      'write the tensors of both as .npz, of the first picture that differs (with --with)',
    )
    .option(
      '--threshold <n>',
      'exit code 1 where a value has fewer decibels of SQNR (two models), or an integer is off by more steps (--with)',
      threshold,
    )
    .option('-i, --images <source...>', SOURCES_HELP, [DEFAULT_IMAGES])
    .option('--limit <n>', 'the first n pictures only', positiveInteger, 16)
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--json', 'print JSON')
    .action(async (path: string, others: string[], options: CompareCommandOptions, command: Command) => {
      if (options.with !== undefined) {
        if (others.some((other) => other.endsWith('.onnx'))) {
          command.error('error: --with compares one model with another engine: give one');
        }
        await compareEngines(path, others.length > 0 ? others : options.images, options, signal);
        return;
      }
      if (options.dump !== undefined) command.error('error: --dump goes with --with');
      if (options.backend !== undefined) {
        if (options.threshold !== undefined) {
          command.error('error: backends have no threshold: a differing byte is exit code 1 anyway');
        }
        if (others.some((other) => other.endsWith('.onnx')))
          command.error('error: --backend compares one model with itself: give one');
        const sources = others.length > 0 ? others : options.images;
        const pictures = (await findPictures(sources)).slice(0, options.limit);
        await compareOnBackends(path, parseBackends(options.backend), pictures, options, signal);
        return;
      }
      if (others.length !== 1) {
        command.error('error: give a second model and no more, or --backend with two backends');
      }
      const pictures = (await findPictures(options.images)).slice(0, options.limit);
      await compareFiles(path, others[0], pictures, options, signal);
    });
}

function threshold(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new InvalidArgumentError('It must be a number, such as 20.');
  }
  return value;
}

async function compareEngines(
  path: string,
  sources: readonly string[],
  options: CompareCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const { backend = 'wasm', dump, json } = options;
  if (!BACKENDS.includes(backend)) {
    throw new InputError(`with --with, --backend takes one of ${BACKENDS.join(', ')}, not "${backend}"`);
  }
  if (dump !== undefined) await checkWritable(dump, [path]);
  const graph = await readGraph(path, { signal, ...inputSizes(options) });
  if (!isQuantized(graph)) {
    throw new InputError(`${path} is a float model, which has no integers to compare: give a quantized one`);
  }
  const pictures = (await findPictures(sources)).slice(0, options.limit);
  const bar = progress('Comparing');
  const comparison = await compareWithOnnxRuntime(graph, loadPictures(pictures), {
    backend: backend as BackendName,
    dump: dump !== undefined,
    imageCount: pictures.length,
    onnxRuntime: await configuredOnnxRuntime(),
    onProgress: onProgress(bar),
    signal,
    ...inputSizes(options),
    ...activationLimit(options),
  }).finally(() => bar.stop());
  if (dump !== undefined) await writeWhole(dump, comparison.dump!);
  if (json) printJson({ file: path, ...comparison, dump: dump ?? null });
  else printEngines(path, comparison);
  const worst = Math.max(...comparison.tensors.map(({ largestDifference }) => largestDifference));
  if (options.threshold !== undefined && worst > options.threshold) {
    throw new CheckFailure(
      `an integer is off by ${counted(worst, 'step')}, more than ${options.threshold}: see the table`,
    );
  }
}

function printEngines(
  path: string,
  { backend, pictures, tensors, firstDiffering }: OnnxRuntimeComparison,
): void {
  const elements = tensors.reduce((sum, tensor) => sum + tensor.elements, 0);
  const differing = tensors.reduce((sum, tensor) => sum + tensor.differing, 0);
  print(
    `${path}: Octet (${backend}) and ONNX Runtime on ${counted(pictures, 'picture')}, ${counted(tensors.length, 'tensor')}, ${elements.toLocaleString('en')} integers: ` +
      (differing === 0 ? 'all are the same' : `${differing.toLocaleString('en')} differ`),
  );
  if (!firstDiffering) return;
  const { name, picture, index, actual, expected } = firstDiffering;
  print(
    `first in "${name}", picture ${picture}, element ${index}: ${actual}, ONNX Runtime ${expected}; what follows is computed from it`,
  );
  print('');
  print(
    table(
      ['tensor', 'shape', ' differing', ' of', ' largest difference'],
      tensors
        .filter((tensor) => tensor.differing > 0)
        .map((tensor) => [
          tensor.name,
          tensor.shape.join('×'),
          tensor.differing,
          tensor.elements.toLocaleString('en'),
          tensor.largestDifference,
        ]),
    ),
  );
}

function parseBackends(text: string): [BackendName, BackendName] {
  const names = text.split(',');
  if (names.length !== 2 || names[0] === names[1] || !names.every((name) => BACKENDS.includes(name))) {
    throw new InputError(
      `--backend takes two of ${BACKENDS.join(', ')}, separated by a comma, not "${text}"`,
    );
  }
  return names as [BackendName, BackendName];
}

async function compareOnBackends(
  path: string,
  [first, second]: [BackendName, BackendName],
  pictures: readonly PictureItem[],
  options: CompareCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const { json } = options;
  const shared = { signal, ...activationLimit(options) };
  const graph = await readGraph(path, { signal, ...inputSizes(options) });
  const actual = await loadModel(graph, { backend: first, ...shared });
  try {
    const expected = await loadModel(graph, { backend: second, ...shared });
    try {
      const comparisons: { picture: string; comparison: Comparison }[] = [];
      const bar = progress('Comparing');
      for (const [index, item] of pictures.entries()) {
        const input = { [actual.inputs[0].name]: await item.load() };
        const comparison = await compareBackends(actual, expected, input, { signal });
        comparisons.push({ picture: item.name, comparison });
        bar.update(index + 1, pictures.length);
      }
      bar.stop();
      const different = comparisons.filter(({ comparison }) => !comparison.equal);
      if (json) {
        printJson({ equal: different.length === 0, pictures: comparisons });
      } else if (different.length === 0) {
        print(`${counted(pictures.length, 'picture')}. ${comparisons[0].comparison.report}`);
      } else {
        print(`${different[0].picture}: ${different[0].comparison.report}`);
      }
      if (different.length > 0) {
        throw new CheckFailure(
          `${first} and ${second} differ on ${different.length} of ${counted(pictures.length, 'picture')}`,
        );
      }
    } finally {
      expected.dispose();
    }
  } finally {
    actual.dispose();
  }
}

async function compareFiles(
  path: string,
  other: string,
  pictures: readonly PictureItem[],
  options: CompareCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const [{ graph: a }, { graph: b }] = shareMetadata([
    { graph: await readGraph(path, { signal, ...inputSizes(options) }) },
    { graph: await readGraph(other, { signal, ...inputSizes(options) }) },
  ]);
  const bar = progress('Comparing');
  const values = await compareModels(a, b, imageBatches(a, loadPictures(pictures)), {
    imageCount: pictures.length,
    onnxRuntime: await configuredOnnxRuntime(),
    onProgress: onProgress(bar),
    signal,
  }).finally(() => bar.stop());
  if (options.json) {
    printJson({ models: [path, other], pictures: pictures.length, values });
    checkSqnr(values, options.threshold);
    return;
  }
  print(`${other} against ${path} on ${counted(pictures.length, 'picture')}, worst first`);
  print(
    table(
      ['value', 'operator', ' SQNR dB', ' cosine', ' largest difference'],
      values.map(({ node, op, sqnr, cosine, largestDifference }) => [
        node,
        op,
        decibels(sqnr),
        cosine.toFixed(6),
        largestDifference.toPrecision(3),
      ]),
    ),
  );
  checkSqnr(values, options.threshold);
}

function checkSqnr(values: readonly ValueComparison[], threshold: number | undefined): void {
  if (threshold === undefined) return;
  const below = values.filter(({ sqnr }) => sqnr < threshold);
  if (below.length === 0) return;
  const names = below.map(({ name, sqnr }) => `${name} (${decibels(sqnr)} dB)`);
  throw new CheckFailure(`SQNR below ${threshold} dB: ${names.join(', ')}`);
}
