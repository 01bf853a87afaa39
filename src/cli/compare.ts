import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { compareBackends } from '../model/compare.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadModel } from '../model/load.ts';
import type { Comparison, InputShape } from '../model/model.ts';
import type { BackendName } from '../schedule/session.ts';
import { readGraph } from '../model/source.ts';
import { compareModels } from '../quantize/compare.ts';
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
    .option('--backend <a,b>', 'compare these two backends: webgpu, wasm, reference')
    .option('-i, --images <source...>', SOURCES_HELP, [DEFAULT_IMAGES])
    .option('--limit <n>', 'the first n pictures only', positiveInteger, 16)
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--json', 'print JSON')
    .action(async (path: string, others: string[], options: CompareCommandOptions, command: Command) => {
      if (options.backend !== undefined) {
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
}
