import type { Command } from 'commander';
import { InputError, ModelError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { imageBatches } from '../model/image-batches.ts';
import type { InputShape } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { findObstacles } from '../model/support.ts';
import { encodeModel } from '../onnx/encode.ts';
import { checkFloat, type Calibration } from '../quantize/calibrate.ts';
import { parseRecipe, type Recipe, type RecipeInput } from '../quantize/recipe.ts';
import { readStatistics } from '../quantize/statistics-file.ts';
import { quantize, type LayerReport, type QuantizationReport } from '../quantize/quantize.ts';
import { platform } from '#platform';
import { inspectModel } from '../inspect/inspect.ts';
import type { DeviceProfile } from '../inspect/target.ts';
import { kernelCounts, targetRecipe } from '../inspect/target-recipe.ts';
import { inMilliseconds } from '../inspect/text.ts';
import { compareAnswers, printAnswers } from './answers.ts';
import { checkWritable, writeWhole } from './files.ts';
import { hostNodesText } from './host-nodes.ts';
import { readTarget, targetOption } from './inspection.ts';
import { withMetadata, type MetadataOptions } from './metadata.ts';
import { DEFAULT_CALIBRATION, inputShapeOption, positiveInteger, readRecipe, inputSizes } from './options.ts';
import {
  bytes,
  counted,
  decibels,
  note,
  onProgress,
  percent,
  print,
  printJson,
  progress,
  table,
} from './output.ts';
import {
  findPictures,
  hashPictures,
  loadPictures,
  sha256,
  SOURCES_HELP,
  type PictureItem,
} from './pictures.ts';
import type { CommandContext } from './context.ts';
import { configuredOnnxRuntime } from './runtime.ts';

interface QuantizeOptions extends MetadataOptions {
  readonly calibration: string[];
  readonly output?: string;
  readonly recipe?: string;
  readonly target?: string;
  readonly opset?: number;
  readonly statistics?: string;
  readonly limit?: number;
  readonly inputShape?: InputShape;
  readonly json?: boolean;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'float ONNX file')
    .option('-c, --calibration <source...>', SOURCES_HELP, [DEFAULT_CALIBRATION])
    .option('-o, --output <file>', 'where to write (default: <model>.int8.onnx)')
    .option(
      '-r, --recipe <file>',
      'JSON: scheme, bits, observers, overrides of single layers (default: good ones)',
    )
    .addOption(targetOption())
    .option(
      '--mean <list>',
      'how pixels were normalized in training, one number a channel: 0.485,0.456,0.406',
    )
    .option('--std <list>', 'as --mean; both are written into the file')
    .option('--labels <file>', 'class names to write into the file: one a line, or a JSON array')
    .option('--statistics <file>', 'what "octet calibrate" wrote for this model and these pictures')
    .option(
      '--opset <n>',
      'latest opset that the file may need: int4 weights come with 21, int2 with 25; before, few bits are stored as int8 (default: 25)',
      positiveInteger,
    )
    .option('--limit <n>', 'calibrate on the first n pictures only', positiveInteger)
    .addOption(inputShapeOption())
    .option('--json', 'print the report as JSON')
    .action(async (path: string, options: QuantizeOptions) => {
      const output = options.output ?? path.replace(/^https?:.*\//, '').replace(/(\.onnx)?$/, '.int8.onnx');
      const target = options.target === undefined ? undefined : await readTarget(options.target);
      const written = await readRecipe(options.recipe, target && targetRecipe(target));
      const recipe = parseRecipe(
        options.opset === undefined ? written : { ...written, opset: options.opset },
      );
      const file = await platform.readFile(path);
      const graph = await withMetadata(await readGraph(path, { signal }), options);
      const found = await findPictures(options.calibration);
      const pictures = found.slice(0, options.limit);
      const given = [options.recipe, options.labels].filter((name) => name !== undefined);
      await checkWritable(output, [path, ...given, ...found.flatMap(({ files }) => files)]);
      checkFloat(graph);
      const { problems, hostNodes } = findObstacles(await readGraph(graph, inputSizes(options)));
      if (problems.length > 0) {
        note(`Other runtimes may run the result; Octet cannot: ${new ModelError(problems).message}`);
      }
      if (hostNodes.length > 0) note(hostNodesText(hostNodes));
      const kept =
        options.statistics === undefined
          ? undefined
          : await keptCalibration(options.statistics, graph, sha256(file), recipe, pictures);
      const bar = progress(kept ? 'Quantizing' : 'Calibrating');
      const { graph: quantized, report } = await quantize(
        graph,
        imageBatches(graph, loadPictures(pictures), inputSizes(options)),
        {
          recipe,
          ...(kept && { calibration: kept }),
          imageCount: pictures.length,
          onnxRuntime: await configuredOnnxRuntime(),
          onProgress: onProgress(bar),
          signal,
        },
      ).finally(() => bar.stop());
      const encoded = encodeModel(quantized);
      await writeWhole(output, encoded);
      const answers =
        problems.length > 0
          ? []
          : await compareAnswers(graph, quantized, pictures, inputSizes(options), signal);
      const sizes = {
        file: output,
        bytes: encoded.length,
        originalBytes: file.length,
        float32Bytes: report.floatBytes,
      };
      const forTarget = target && problems.length === 0 ? fitOf(target, graph, quantized) : null;
      if (options.json) {
        printJson({ ...sizes, report, answers, target: forTarget });
        return;
      }
      printReport(report);
      print('');
      print(
        `${path}: ${bytes(file.length)}, ${bytes(report.floatBytes)} of constants as float32\n` +
          `${output}: ${bytes(encoded.length)}, ${(encoded.length / report.floatBytes).toFixed(3)} of the float32 size`,
      );
      if (forTarget) print(fitText(forTarget));
      if (answers.length > 0) printAnswers(answers);
    });
}

/** What the target made of the recipe: kernels that run there, and those of the same model with 8 bits. */
interface TargetFit {
  readonly name: string;
  readonly title: string;
  readonly recipe: RecipeInput;
  readonly expectedMs: number;
  readonly hostStages: number;
  readonly kernels: Readonly<Record<string, number>>;
  readonly kernelsOf8Bits: Readonly<Record<string, number>>;
}

function fitOf(target: DeviceProfile, float: Graph, quantized: Graph): TargetFit {
  const { name, title } = target;
  const inspection = inspectModel(quantized, { target });
  const { expectedMs, hostStages } = inspection.totals;
  return {
    ...{ name, title, recipe: targetRecipe(target), expectedMs, hostStages },
    kernels: kernelCounts(inspection),
    kernelsOf8Bits: kernelCounts(inspectModel(float, { target })),
  };
}

function fitText({ title, recipe, expectedMs, hostStages, kernels, kernelsOf8Bits }: TargetFit): string {
  const list = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .sort(([, a], [, b]) => b - a)
      .map(([kernel, count]) => `${count} ${kernel}`)
      .join(', ');
  const { preset } = recipe;
  return [
    `For ${title}: ${preset ? `preset ${preset}, where the recipe does not say otherwise` : 'nothing to change in the recipe'}.`,
    `operations by kernel: ${list(kernels)}`,
    ...(preset ? [`with 8 bits: ${list(kernelsOf8Bits)}`] : []),
    `${counted(hostStages, 'host stage')}, ${inMilliseconds(expectedMs)} a run expected`,
  ].join('\n');
}

/** The calibration of a statistics file. Throws an InputError where it was gathered from other pictures. */
async function keptCalibration(
  path: string,
  graph: Graph,
  model: string,
  recipe: Recipe,
  pictures: readonly PictureItem[],
): Promise<Calibration> {
  const text = new TextDecoder().decode(await platform.readFile(path));
  const { calibration, source } = readStatistics(text, graph, model, recipe);
  if (source.pictures !== (await hashPictures(pictures))) {
    throw new InputError(`${path} was gathered from other pictures: name the same with --calibration`);
  }
  return calibration;
}

function printReport({ layers, images }: QuantizationReport): void {
  print(
    `Calibrated on ${counted(images, 'picture')}. SQNR in decibels; weights against float, activations over the calibration set.`,
  );
  print(
    table(
      [
        'layer',
        'operator',
        ' W bits',
        ' W largest',
        ' W clipped',
        ' W SQNR',
        ' A bits',
        ' A range',
        ' A scale',
        ' zero',
        ' A clipped',
        ' A SQNR',
      ],
      layers.map(reportRow),
    ),
  );
}

function reportRow({ name, op, weights, activation }: LayerReport): (string | number)[] {
  return [
    name,
    op,
    ...(weights
      ? [weights.bits, weights.largest.toFixed(3), percent(weights.clippedShare), decibels(weights.sqnr)]
      : ['', '', '', '']),
    ...(activation
      ? [
          activation.bits,
          `${activation.range.min.toFixed(3)}…${activation.range.max.toFixed(3)}`,
          activation.scale.toPrecision(4),
          activation.zeroPoint,
          percent(activation.clippedShare),
          decibels(activation.sqnr),
        ]
      : ['', 'float', '', '', '', '']),
  ];
}
