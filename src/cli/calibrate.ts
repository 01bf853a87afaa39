import type { Command } from 'commander';
import { imageBatches } from '../model/image-batches.ts';
import type { InputShape } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { calibrate } from '../quantize/calibrate.ts';
import { writeStatistics } from '../quantize/statistics-file.ts';
import { platform } from '#platform';
import type { CommandContext } from './context.ts';
import { checkWritable, writeWhole } from './files.ts';
import { withMetadata } from './metadata.ts';
import { DEFAULT_CALIBRATION, inputShapeOption, positiveInteger, readRecipe, inputSizes } from './options.ts';
import { counted, onProgress, print, progress } from './output.ts';
import { findPictures, hashPictures, loadPictures, sha256, SOURCES_HELP } from './pictures.ts';
import { configuredOnnxRuntime } from './runtime.ts';

interface CalibrateOptions {
  readonly calibration: string[];
  readonly output?: string;
  readonly recipe?: string;
  readonly mean?: string;
  readonly std?: string;
  readonly limit?: number;
  readonly inputShape?: InputShape;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'float ONNX file')
    .option('-c, --calibration <source...>', SOURCES_HELP, [DEFAULT_CALIBRATION])
    .option('-o, --output <file>', 'where to write (default: <model>.statistics.json)')
    .option('-r, --recipe <file>', 'its equalize and momentum act here')
    .option(
      '--mean <list>',
      'how pixels were normalized in training, one number a channel: 0.485,0.456,0.406',
    )
    .option('--std <list>', 'as --mean')
    .option('--limit <n>', 'the first n pictures only', positiveInteger)
    .addOption(inputShapeOption())
    .action(async (path: string, options: CalibrateOptions) => {
      const output =
        options.output ?? path.replace(/^https?:.*\//, '').replace(/(\.onnx)?$/, '.statistics.json');
      const recipe = await readRecipe(options.recipe);
      const graph = await withMetadata(await readGraph(path, { signal }), options);
      const model = sha256(await platform.readFile(path));
      const pictures = (await findPictures(options.calibration)).slice(0, options.limit);
      await checkWritable(output, [path, ...pictures.flatMap(({ files }) => files)]);
      const bar = progress('Calibrating');
      const calibration = await calibrate(
        graph,
        imageBatches(graph, loadPictures(pictures), inputSizes(options)),
        {
          recipe,
          imageCount: pictures.length,
          onnxRuntime: await configuredOnnxRuntime(),
          onProgress: onProgress(bar),
          signal,
        },
      ).finally(() => bar.stop());
      const source = { model, pictures: await hashPictures(pictures) };
      await writeWhole(output, new TextEncoder().encode(writeStatistics(calibration, recipe, source)));
      print(
        `${output}: statistics of ${calibration.statistics.size} values over ${counted(pictures.length, 'picture')}`,
      );
    });
}
