import type { Command } from 'commander';
import { evaluateClassifiers } from '../model/evaluate.ts';
import { imageBatches } from '../model/image-batches.ts';
import { readLabels } from '../model/labels.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { calibrate } from '../quantize/calibrate.ts';
import { SWEEP_BITS, sweepBits } from '../quantize/sweep.ts';
import { openFloatClassifier, openQuantizedClassifier } from './classifiers.ts';
import { labelled } from './evaluate.ts';
import {
  activationLimit,
  backendOption,
  bitList,
  DEFAULT_CALIBRATION,
  DEFAULT_IMAGES,
  DEFAULT_MODEL,
  inputShapeOption,
  maxActivationBytesOption,
  positiveInteger,
  readRecipe,
  inputSizes,
} from './options.ts';
import { onProgress, percent, print, printJson, progress, table } from './output.ts';
import { findPictures, loadPictures, SOURCES_HELP } from './pictures.ts';
import type { CommandContext } from './context.ts';
import { configuredOnnxRuntime } from './runtime.ts';

interface SweepCommandOptions {
  readonly images: string[];
  readonly calibration: string[];
  readonly weights: number[];
  readonly activations: number[];
  readonly limit?: number;
  readonly recipe?: string;
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly json?: boolean;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('[model]', 'float ONNX file', DEFAULT_MODEL)
    .option('-w, --weights <bits>', 'weight bits to try', bitList, [...SWEEP_BITS])
    .option('-a, --activations <bits>', 'activation bits to try', bitList, [...SWEEP_BITS])
    .option('-i, --images <source...>', SOURCES_HELP, [DEFAULT_IMAGES])
    .option('--limit <n>', 'the first n pictures only', positiveInteger)
    .option('-c, --calibration <source...>', 'what to calibrate on', [DEFAULT_CALIBRATION])
    .option('-r, --recipe <file>', 'all but the bits')
    .addOption(backendOption())
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--json', 'print JSON')
    .action(async (path: string, options: SweepCommandOptions) => {
      const recipe = await readRecipe(options.recipe);
      const graph = await readGraph(path, { signal, ...inputSizes(options) });
      const classes = readLabels(graph.metadata);
      const pictures = labelled((await findPictures(options.images)).slice(0, options.limit), classes);
      const calibrationPictures = await findPictures(options.calibration);

      const accuracy = async (open: ReturnType<typeof openFloatClassifier>): Promise<number> => {
        const classifier = await open;
        try {
          const { results } = await evaluateClassifiers([classifier], pictures, { classes, signal });
          return results[0].top1;
        } finally {
          await classifier.dispose();
        }
      };
      const calibrating = progress('Calibrating');
      const calibration = await calibrate(graph, imageBatches(graph, loadPictures(calibrationPictures)), {
        recipe,
        imageCount: calibrationPictures.length,
        onnxRuntime: await configuredOnnxRuntime(),
        onProgress: onProgress(calibrating),
        signal,
      }).finally(() => calibrating.stop());
      const float = await accuracy(openFloatClassifier(path, graph));
      const bar = progress('Sweeping');
      const results = await sweepBits(calibration, {
        weightBits: options.weights,
        activationBits: options.activations,
        recipe,
        evaluate: (quantized, { weights, activations }) =>
          accuracy(
            openQuantizedClassifier(`W${weights}A${activations}`, quantized, {
              backend: options.backend,
              signal,
              ...activationLimit(options),
            }),
          ),
        onProgress: onProgress(bar),
        signal,
      }).finally(() => bar.stop());
      if (options.json) {
        printJson({ model: path, images: pictures.length, float, results });
        return;
      }
      print(`${path}: top-1 on ${pictures.length.toLocaleString('en')} pictures, float ${percent(float)}`);
      print('Weight bits down, activation bits across');
      print(
        table(
          ['', ...options.activations.map((bits) => ` A${bits}`)],
          options.weights.map((weights) => [
            `W${weights}`,
            ...options.activations.map((activations) => {
              const found = results.find(
                (entry) => entry.weights === weights && entry.activations === activations,
              )!;
              return percent(found.result);
            }),
          ]),
        ),
      );
    });
}
