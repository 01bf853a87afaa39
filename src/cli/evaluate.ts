import { type Command, InvalidArgumentError } from 'commander';
import * as v from 'valibot';
import { platform } from '#platform';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { isQuantized } from '../graph/patterns.ts';
import { evaluateClassifiers, type Evaluation } from '../model/evaluate.ts';
import { imageBatches } from '../model/image-batches.ts';
import { readLabels } from '../model/labels.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { describePart, parseShard, partOf, type Shard } from './shard.ts';
import { quantize } from '../quantize/quantize.ts';
import { fetchCifar10 } from './cifar10.ts';
import { withBars } from './data.ts';
import {
  openDynamicClassifier,
  openFloatClassifier,
  openQuantizedClassifier,
  type OpenClassifier,
} from './classifiers.ts';
import { shareMetadata } from './metadata.ts';
import {
  activationLimit,
  backendOption,
  checkDefault,
  DEFAULT_CALIBRATION,
  DEFAULT_IMAGES,
  DEFAULT_MODEL,
  inputShapeOption,
  maxActivationBytesOption,
  positiveInteger,
  positiveIntegers,
  readRecipe,
  inputSizes,
} from './options.ts';
import { note, onProgress, millisecondsEach, percent, print, printJson, progress, table } from './output.ts';
import { findCifar10Test, findPictures, loadPictures, SOURCES_HELP, type PictureItem } from './pictures.ts';
import type { CommandContext } from './context.ts';
import { configuredOnnxRuntime } from './runtime.ts';

/** So many classes an error message names. */
const MOST_CLASSES = 12;

interface EvaluateCommandOptions {
  readonly images: string[];
  readonly full?: boolean;
  readonly limit?: number;
  readonly labelMap?: string;
  readonly shard?: Shard;
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly batch: number;
  readonly threads?: number;
  readonly calibration: string[];
  readonly recipe?: string;
  readonly dynamicActivations?: number[];
  readonly json?: boolean;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument(
      '[model...]',
      `ONNX files, float or quantized (default: ${DEFAULT_MODEL}); a float one alone is quantized on the fly`,
    )
    .option('-i, --images <source...>', SOURCES_HELP, [DEFAULT_IMAGES])
    .option('--full', 'all 10,000 test images of CIFAR-10 (fetched where they are not cached)')
    .option('--limit <n>', 'the first n pictures only', positiveInteger)
    .option(
      '--label-map <file>',
      'JSON object from names of class folders to the model’s names (or indices) of classes: {"n02123045": "tabby"}',
    )
    .option(
      '--shard <i/n>',
      'the i-th of n parts of the pictures, for `octet merge` (with --json)',
      parseShard,
    )
    .addOption(backendOption())
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--batch <n>', 'pictures a run', positiveInteger, 8)
    .option('--threads <n>', 'threads of each model (default: one a core)', positiveInteger)
    .option('-c, --calibration <source...>', 'what to quantize on, where that is needed', [
      DEFAULT_CALIBRATION,
    ])
    .option('-r, --recipe <file>', 'how to quantize, where that is needed')
    .option(
      '--dynamic-activations <bits>',
      'float models also with weights, pictures and activations of so many bits (1 to 8, such as 8,4,2), the range of each ReLU taken from the batch',
      bitCounts,
    )
    .option('--json', 'print JSON')
    .action(async (paths: string[], options: EvaluateCommandOptions) => {
      if (options.shard && !options.json) throw new InputError('--shard is for merging: add --json');
      if (paths.length === 0) checkDefault(DEFAULT_MODEL, 'the models to evaluate');
      const models = await readModels(paths.length ? paths : [DEFAULT_MODEL], options, signal);
      if (options.full) await withBars((onProgress) => fetchCifar10({ signal, onProgress }));
      const found = options.full ? await findCifar10Test() : await findPictures(options.images);
      const classes = readLabels(models[0].graph.metadata);
      const renamed = options.labelMap === undefined ? undefined : await readLabelMap(options.labelMap);
      const all = labelled(found.slice(0, options.limit), classes, renamed);
      const pictures = options.shard ? partOf(all, options.shard) : all;

      const classifiers: OpenClassifier[] = [];
      const bar = progress('Evaluating');
      try {
        for (const { name, graph, quantized } of models) {
          classifiers.push(
            quantized
              ? await openQuantizedClassifier(name, graph, {
                  backend: options.backend,
                  signal,
                  ...activationLimit(options),
                  ...(options.threads !== undefined && { threads: options.threads }),
                })
              : await openFloatClassifier(name, graph, options.threads),
          );
          if (quantized) continue;
          for (const bits of options.dynamicActivations ?? []) {
            classifiers.push(
              await openDynamicClassifier(
                `${name}, dynamic ${bits} ${bits === 1 ? 'bit' : 'bits'}`,
                graph,
                bits,
                options.threads,
              ),
            );
          }
        }
        const evaluation = await evaluateClassifiers(classifiers, pictures, {
          classes,
          batch: options.batch,
          signal,
          onProgress: onProgress(bar),
        });
        bar.stop();
        const engines = classifiers.map(({ engine }) => engine);
        const part = options.shard && (await describePart(options.shard, paths, all));
        if (options.json) printJson({ ...evaluation, engines, ...(part && { part }) });
        else printEvaluation(evaluation, engines);
        for (const { name, reason } of classifiers) if (reason) note(`${name}: ${reason}`);
      } finally {
        bar.stop();
        for (const classifier of classifiers) await classifier.dispose();
      }
    });
}

/** Numbers of bits, separated by commas. */
function bitCounts(text: string): number[] {
  const counts = positiveIntegers(text);
  if (counts.some((bits) => bits > 8)) throw new InvalidArgumentError('It must be 1 to 8 bits.');
  return counts;
}

interface NamedModel {
  readonly name: string;
  readonly graph: Graph;
  readonly quantized: boolean;
}

async function readModels(
  paths: readonly string[],
  options: EvaluateCommandOptions,
  signal: AbortSignal,
): Promise<NamedModel[]> {
  const models = [];
  for (const path of paths) {
    const graph = await readGraph(path, { signal, ...inputSizes(options) });
    models.push({ name: path, graph, quantized: isQuantized(graph) });
  }
  const [only] = models;
  if (models.length > 1 || only.quantized) return shareMetadata(models);
  const calibration = await findPictures(options.calibration);
  const bar = progress('Quantizing');
  const { graph } = await quantize(only.graph, imageBatches(only.graph, loadPictures(calibration)), {
    recipe: await readRecipe(options.recipe),
    imageCount: calibration.length,
    onnxRuntime: await configuredOnnxRuntime(),
    onProgress: onProgress(bar),
    signal,
  }).finally(() => bar.stop());
  return [only, { name: `${only.name}, quantized`, graph, quantized: true }];
}

const labelMapSchema = v.record(
  v.string(),
  v.union([v.string(), v.pipe(v.number(), v.integer(), v.minValue(0))]),
);

/** What the model calls the classes of folders, by the folders' names: a name or an index. */
type LabelMap = v.InferOutput<typeof labelMapSchema>;

async function readLabelMap(path: string): Promise<LabelMap> {
  const text = new TextDecoder().decode(await platform.readFile(path));
  try {
    return v.parse(labelMapSchema, JSON.parse(text));
  } catch (cause) {
    throw new InputError(
      `${path} is no label map: a JSON object from names of class folders to the model’s names or indices of classes`,
      { cause },
    );
  }
}

/** Pictures with the index of their class. Throws an InputError where one has none, or one that the model does not know. */
export function labelled(items: readonly PictureItem[], classes: readonly string[], map: LabelMap = {}) {
  if (classes.length === 0) {
    throw new InputError(
      'the model does not name its classes (metadata "labels"), so nothing can be compared with them',
    );
  }
  return items.map(({ name, className, load }) => {
    if (className === undefined) {
      throw new InputError(
        `${name} has no true class: give a contact sheet, or a folder with one folder a class`,
      );
    }
    const mapped = Object.hasOwn(map, className) ? map[className] : className;
    const label = typeof mapped === 'number' ? mapped : classes.indexOf(mapped);
    if (!(label in classes)) {
      const known = classes.length > MOST_CLASSES ? [...classes.slice(0, MOST_CLASSES), '…'] : classes;
      throw new InputError(
        `${name} is of class "${mapped}", which is none of ${known.join(', ')}: --label-map says what the model calls it`,
      );
    }
    return { label, load };
  });
}

export function printEvaluation(
  { images, classes, results, agreement }: Evaluation,
  engines: readonly string[],
): void {
  print(`${images.toLocaleString('en')} pictures`);
  print('');
  print(
    table(
      ['model', ' top-1', ' top-5', ' against first', ' same answer', ' ms/picture', 'run by'],
      results.map(({ name, top1, top5, seconds }, index) => [
        name,
        percent(top1),
        percent(top5),
        index === 0
          ? ''
          : `${top1 >= results[0].top1 ? '+' : '−'}${Math.abs((top1 - results[0].top1) * 100).toFixed(2)}`,
        percent(agreement[index]),
        millisecondsEach(seconds, images),
        engines[index],
      ]),
    ),
  );
  print('\nTop-1 of each class');
  print(
    table(
      ['class', ...results.map((_, index) => ` model ${index + 1}`)],
      classes.map((name, index) => [name, ...results.map(({ perClass }) => percent(perClass[index]))]),
    ),
  );
  for (const { name, confusion } of results) {
    print(`\nConfusion of ${name}: true class down, answer across`);
    print(
      table(
        ['', ...classes.map((label) => ` ${label.slice(0, 5)}`)],
        confusion.map((row, index) => [classes[index], ...row.map((count) => count || '·')]),
      ),
    );
  }
}
