import type { Command } from 'commander';
import * as v from 'valibot';
import { platform } from '#platform';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { imageBatches } from '../model/image-batches.ts';
import { readLabels } from '../model/labels.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { raiseBits, type RaiseResult } from '../inspect/raise-bits.ts';
import { inMilliseconds } from '../inspect/text.ts';
import { calibrate } from '../quantize/calibrate.ts';
import type { Batch } from '../quantize/onnx-runtime.ts';
import type { Recipe } from '../quantize/recipe.ts';
import {
  measureSensitivities,
  searchBits,
  type LayerSensitivity,
  type ModelQuality,
  type SearchPoint,
} from '../quantize/search.ts';
import type { Picture } from '../vision/picture.ts';
import { type OpenClassifier, openFloatClassifier, openQuantizedClassifier } from './classifiers.ts';
import { CheckFailure, type CommandContext } from './context.ts';
import { labelled } from './evaluate.ts';
import { checkWritable, writeWhole } from './files.ts';
import { readTarget, targetOption } from './inspection.ts';
import {
  activationLimit,
  backendOption,
  bitList,
  byteCount,
  DEFAULT_CALIBRATION,
  inputShapeOption,
  inputSizes,
  maxActivationBytesOption,
  percentagePoints,
  positiveInteger,
  readRecipe,
} from './options.ts';
import { bytes, onProgress, percent, print, printJson, progress, table } from './output.ts';
import { findPictures, hashPictures, loadPictures, sha256, SOURCES_HELP } from './pictures.ts';
import { configuredOnnxRuntime } from './runtime.ts';
import { parseShard, type Shard } from './shard.ts';

interface SearchCommandOptions {
  readonly shard?: Shard;
  readonly sensitivities?: string[];
  readonly maxDrop?: number;
  readonly maxBytes?: number;
  readonly calibration: string[];
  readonly images?: string[];
  readonly limit?: number;
  readonly weights: number[];
  readonly activations: number[];
  readonly recipe?: string;
  readonly target: string;
  readonly output?: string;
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly json?: boolean;
}

/** Pictures that are run at once. */
const BATCH = 32;

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'float ONNX file of a classifier')
    .option(
      '--max-drop <points>',
      'the smallest model that loses at most so many percentage points; where the recipe loses more, its worst layers are made more exact',
      percentagePoints,
    )
    .option('--max-bytes <size>', 'the best model of at most so many bytes, such as 9MB', byteCount)
    .option('-c, --calibration <source...>', SOURCES_HELP, [DEFAULT_CALIBRATION])
    .option(
      '-i, --images <source...>',
      'labelled pictures: the drop is of their accuracy (default: the calibration pictures, and the drop the share that is answered otherwise than by the float model)',
    )
    .option('--limit <n>', 'calibrate on the first n pictures only', positiveInteger)
    .option('-w, --weights <bits>', 'weight bits to try below those of the recipe', bitList, [4, 2])
    .option('-a, --activations <bits>', 'activation bits at which sensitivity is measured', bitList, [])
    .option('-r, --recipe <file>', 'what the search starts from')
    .addOption(targetOption().default('webgpu'))
    .option('-o, --output <file>', 'where to write the recipe that was found')
    .option(
      '--shard <i/n>',
      'measure the i-th of n parts of the layers alone, for --sensitivities (with --json, without a limit)',
      parseShard,
    )
    .option(
      '--sensitivities <part...>',
      'what --shard printed, all parts: their layers are not measured again',
    )
    // Each model is loaded for one evaluation: compiling shaders would take longer than running it.
    .addOption(backendOption().default('wasm'))
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--json', 'print JSON')
    .action(async (path: string, options: SearchCommandOptions) => {
      const { shard } = options;
      const limits = [options.maxDrop, options.maxBytes].filter((limit) => limit !== undefined).length;
      if (!shard && limits !== 1) throw new InputError('give either --max-drop or --max-bytes');
      if (shard && (limits > 0 || options.sensitivities || options.output || !options.json)) {
        throw new InputError(
          '--shard only measures layers: add --json, and leave out --max-drop, --max-bytes, --sensitivities and --output',
        );
      }
      const recipe = await readRecipe(options.recipe);
      const graph = await readGraph(path, { signal, ...inputSizes(options) });
      const calibrationPictures = (await findPictures(options.calibration)).slice(0, options.limit);
      const images =
        options.images && labelled(await findPictures(options.images), readLabels(graph.metadata));
      if (options.output) {
        await checkWritable(options.output, [path, ...(options.recipe ? [options.recipe] : [])]);
      }
      const pictures: Picture[] = [];
      for (const { load } of images ?? calibrationPictures) pictures.push(await load());
      const float = await allScores(await openFloatClassifier(path, graph), pictures);
      const labels = images?.map(({ label }) => label);
      const evaluate = async (quantized: Graph): Promise<ModelQuality> => {
        const open = await openQuantizedClassifier('quantized', quantized, {
          backend: options.backend,
          signal,
          ...activationLimit(options),
        });
        return qualityOf(await allScores(open, pictures), float, labels);
      };
      const bar = progress('Searching');
      const batches: Batch[] = [];
      for await (const batch of imageBatches(graph, loadPictures(calibrationPictures), inputSizes(options))) {
        batches.push(batch);
      }
      const onnxRuntime = await configuredOnnxRuntime();
      const shared = {
        recipe,
        calibration: await calibrate(graph, batches, { recipe, onnxRuntime, signal }),
        weightBits: options.weights,
        activationBits: options.activations,
        evaluate,
        onnxRuntime,
        onProgress: onProgress(bar),
        signal,
      };
      const whole = {
        model: sha256(await platform.readFile(path)),
        recipe: JSON.stringify(recipe),
        calibration: await hashPictures(calibrationPictures),
        pictures: await hashPictures(images ?? calibrationPictures),
        labels: labels ?? null,
      };
      if (shard) {
        const measured = await measureSensitivities(graph, batches, { ...shared, part: shard }).finally(() =>
          bar.stop(),
        );
        printJson({ shard, whole: sha256(utf8(JSON.stringify(whole))), sensitivities: measured });
        return;
      }
      if (options.maxDrop !== undefined) {
        const sources: Picture[] = images ? [] : pictures;
        for await (const picture of loadPictures(images ? calibrationPictures : [])) sources.push(picture);
        const steps = progress('Raising bits');
        const raised = await raiseBits(graph, sources, {
          ...{ ...shared, maxDrop: options.maxDrop, target: await readTarget(options.target) },
          ...{ onProgress: onProgress(steps), ...inputSizes(options) },
        }).finally(() => steps.stop());
        // Where the recipe is exact enough there is only its own step, and layers may have fewer bits.
        if (!raised.met || raised.steps.length > 1) {
          if (options.output && raised.met) await writeRecipe(options.output, raised.recipe);
          if (options.json) printJson({ model: path, images: pictures.length, raised });
          else printRaised(raised, pictures.length, images !== undefined, options.output);
          if (!raised.met) throw new CheckFailure(NO_CHOICE);
          return;
        }
      }
      const given =
        options.sensitivities &&
        (await readParts(options.sensitivities, sha256(utf8(JSON.stringify(whole)))));
      const { sensitivities, points, best } = await searchBits(graph, batches, {
        ...shared,
        ...(given && { sensitivities: given }),
        ...(options.maxDrop !== undefined && { maxDrop: options.maxDrop }),
        ...(options.maxBytes !== undefined && { maxBytes: options.maxBytes }),
      }).finally(() => bar.stop());
      if (options.output && best) {
        await writeRecipe(options.output, best.recipe);
      }
      if (options.json) {
        printJson({ model: path, images: pictures.length, sensitivities, points, best: best ?? null });
      } else {
        print('Each layer alone with fewer bits, least loss first');
        print(
          table(
            ['layer', 'bits', 'saves', 'loss', 'drop'],
            sensitivities.map(({ name, kind, bits, savedBytes, loss, drop }) => [
              kind === 'weights' ? name : `${name} (activation)`,
              bits,
              bytes(savedBytes),
              loss.toExponential(2),
              drop.toFixed(2),
            ]),
          ),
        );
        print('');
        print(`${dropTitle(images !== undefined, pictures.length)}; * no smaller one loses less`);
        print(
          table(
            ['', 'constants', 'layers with fewer bits', 'drop'],
            points.map((point) => rowOf(point, best)),
          ),
        );
        if (best) {
          print('');
          print(options.output ? `${options.output}: the recipe` : JSON.stringify(overridesOf(best)));
        }
      }
      if (!best) throw new CheckFailure(NO_CHOICE);
    });
}

const NO_CHOICE = 'no choice of bits meets the limit: see the table above';

const dropTitle = (isLabelled: boolean, pictures: number) =>
  `${isLabelled ? 'Points of accuracy lost' : 'Percent of pictures answered otherwise than by the float model'}, ${pictures.toLocaleString('en')} pictures`;

const writeRecipe = (path: string, recipe: Recipe) =>
  writeWhole(path, `${JSON.stringify(recipe, undefined, 2)}\n`);

/** What each step bought: drop, bytes and expected time against the step that was kept before it. */
function printRaised(
  { steps, recipe, met }: RaiseResult,
  pictures: number,
  isLabelled: boolean,
  output: string | undefined,
): void {
  print(
    'The recipe loses more than that. Layers made more exact, one after the other, the one that loses most first',
  );
  print('');
  print(dropTitle(isLabelled, pictures));
  let before = steps[0];
  print(
    table(
      ['', 'layer', 'becomes', ' noise', ' loss', ' drop', ' constants', ' expected', ' on the host'],
      steps.map((step) => {
        const { change, share, kept, refused, loss, drop, bytes: size, expectedMs, hostStages } = step;
        const more = step === before ? '' : `, ${signed(size - before.bytes)}`;
        const slower = step === before ? '' : `, ${signed(expectedMs - before.expectedMs, inMilliseconds)}`;
        if (kept) before = step;
        const [name, becomes] = change ? [change.match, inBits(change)] : ['as the recipe says', ''];
        if (refused !== null) return ['✗', name, becomes, percent(share), refused, '', '', '', ''];
        return [
          ...[kept ? '✓' : '✗', name, becomes, change ? percent(share) : '', loss.toExponential(2)],
          ...[drop.toFixed(2), `${bytes(size)}${more}`, `${inMilliseconds(expectedMs)}${slower}`, hostStages],
        ];
      }),
    ),
  );
  print('');
  if (met) print(output ? `${output}: the recipe` : JSON.stringify(recipe.layers));
}

const inBits = ({ float, weights, activations }: Recipe['layers'][number]): string => {
  if (float) return 'float weights, on the host';
  return weights ? `weights of ${weights.bits} bits` : `result of ${activations?.bits} bits`;
};

const signed = (value: number, inUnits: (value: number) => string = bytes): string =>
  value === 0 ? '±0' : `${value < 0 ? '−' : '+'}${inUnits(Math.abs(value))}`;

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const partSchema = v.object({
  whole: v.string(),
  sensitivities: v.array(
    v.object({
      name: v.string(),
      kind: v.picklist(['weights', 'activation']),
      bits: v.number(),
      savedBytes: v.number(),
      loss: v.number(),
      drop: v.number(),
    }),
  ),
});

/** @throws {InputError} a file is no part, or a part of another search; a part that is missing is found out by the search */
async function readParts(paths: readonly string[], whole: string): Promise<LayerSensitivity[]> {
  const sensitivities: LayerSensitivity[] = [];
  for (const path of paths) {
    const text = new TextDecoder().decode(await platform.readFile(path));
    let part: v.InferOutput<typeof partSchema>;
    try {
      part = v.parse(partSchema, JSON.parse(text));
    } catch (cause) {
      throw new InputError(`${path} is not what \`octet search --shard i/n --json\` prints`, { cause });
    }
    if (part.whole !== whole) {
      throw new InputError(`${path} was measured with another model, recipe or other pictures`);
    }
    sensitivities.push(...part.sensitivities);
  }
  return sensitivities;
}

function rowOf(point: SearchPoint, best: SearchPoint | undefined): readonly (string | number)[] {
  const fewer = overridesOf(point).length;
  return [
    `${point === best ? '→' : ' '}${point.pareto ? '*' : ' '}`,
    bytes(point.bytes),
    fewer,
    point.drop.toFixed(2),
  ];
}

/** What the recipe says of single layers: to paste into a recipe's `layers`. */
const overridesOf = ({ recipe }: SearchPoint) => recipe.layers;

async function allScores(classifier: OpenClassifier, pictures: readonly Picture[]): Promise<Float32Array[]> {
  try {
    const scores: Float32Array[] = [];
    for (let first = 0; first < pictures.length; first += BATCH) {
      const rows = await classifier.scores(pictures.slice(first, first + BATCH));
      scores.push(...rows.map((row) => Float32Array.from(row)));
    }
    return scores;
  } finally {
    await classifier.dispose();
  }
}

/** Loss: the squared error of the scores over the square of the float ones. */
function qualityOf(
  scores: readonly Float32Array[],
  float: readonly Float32Array[],
  labels: readonly number[] | undefined,
): ModelQuality {
  let error = 0;
  let power = 0;
  let correct = 0;
  let floatCorrect = 0;
  for (const [i, row] of scores.entries()) {
    for (const [c, value] of row.entries()) {
      error += (value - float[i][c]) * (value - float[i][c]);
      power += float[i][c] * float[i][c];
    }
    const answer = row.indexOf(Math.max(...row));
    const floatAnswer = float[i].indexOf(Math.max(...float[i]));
    const truth = labels ? labels[i] : floatAnswer;
    if (answer === truth) correct++;
    if (floatAnswer === truth) floatCorrect++;
  }
  return { loss: power > 0 ? error / power : 0, drop: (100 * (floatCorrect - correct)) / scores.length };
}
