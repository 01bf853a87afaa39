import { rename, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { imageBatches } from '../model/image-batches.ts';
import { readGraph } from '../model/source.ts';
import { encodeModel } from '../onnx/encode.ts';
import { quantize, type LayerReport, type QuantizationReport } from '../quantize/quantize.ts';
import { platform } from '#platform';
import { DEFAULT_CALIBRATION, positiveInteger, readRecipe } from './options.ts';
import { bytes, decibels, onProgress, percent, print, printJson, progress, table } from './output.ts';
import { findPictures, loadPictures, SOURCES_HELP } from './pictures.ts';
import type { CommandContext } from './context.ts';
import { configuredOnnxRuntime } from './runtime.ts';

interface QuantizeOptions {
  readonly calibration: string[];
  readonly output?: string;
  readonly recipe?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

export function addQuantizeCommand(program: Command, { signal }: CommandContext): void {
  program
    .command('quantize')
    .description('calibrate a float model on pictures and write it as a quantized (QDQ) ONNX file')
    .argument('<model>', 'float ONNX file')
    .option('-c, --calibration <source...>', SOURCES_HELP, [DEFAULT_CALIBRATION])
    .option('-o, --output <file>', 'where to write (default: <model>.int8.onnx)')
    .option(
      '-r, --recipe <file>',
      'JSON: scheme, bits, observers, overrides of single layers (default: good ones)',
    )
    .option('--limit <n>', 'calibrate on the first n pictures only', positiveInteger)
    .option('--json', 'print the report as JSON')
    .action(async (path: string, options: QuantizeOptions) => {
      const output = options.output ?? path.replace(/(\.onnx)?$/, '.int8.onnx');
      const recipe = await readRecipe(options.recipe);
      const file = await platform.readFile(path);
      const graph = await readGraph(path, { signal });
      const pictures = (await findPictures(options.calibration)).slice(0, options.limit);
      const bar = progress('Calibrating');
      const { graph: quantized, report } = await quantize(
        graph,
        imageBatches(graph, loadPictures(pictures)),
        {
          recipe,
          imageCount: pictures.length,
          onnxRuntime: await configuredOnnxRuntime(),
          onProgress: onProgress(bar),
          signal,
        },
      ).finally(() => bar.stop());
      const encoded = encodeModel(quantized);
      // Written beside and renamed, so that a file of the final name is whole.
      await writeFile(`${output}.partial`, encoded);
      await rename(`${output}.partial`, output);
      const sizes = {
        file: output,
        bytes: encoded.length,
        originalBytes: file.length,
        float32Bytes: report.floatBytes,
      };
      if (options.json) {
        printJson({ ...sizes, report });
        return;
      }
      printReport(report);
      print('');
      print(
        `${path}: ${bytes(file.length)}, ${bytes(report.floatBytes)} of constants as float32\n` +
          `${output}: ${bytes(encoded.length)}, ${(encoded.length / report.floatBytes).toFixed(3)} of the float32 size`,
      );
    });
}

function printReport({ layers, images }: QuantizationReport): void {
  print(
    `Calibrated on ${images} pictures. SQNR in decibels; weights against float, activations over the calibration set.`,
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
