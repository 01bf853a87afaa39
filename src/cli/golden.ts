import type { Command } from 'commander';
import { makeGoldenPack, type GoldenCase } from '../inspect/golden.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import type { Dimension } from '../graph/graph.ts';
import { readNetwork } from '../model/source.ts';
import { platform } from '#platform';
import type { CommandContext } from './context.ts';
import { checkWritable, writeWhole } from './files.ts';
import {
  activationLimit,
  backendOption,
  inputShapeOption,
  inputSizes,
  maxActivationBytesOption,
  positiveInteger,
} from './options.ts';
import { bytes, counted, onProgress, print, progress } from './output.ts';
import { findPictures, SOURCES_HELP, stretchTo, type PictureItem } from './pictures.ts';

interface GoldenCommandOptions {
  readonly output: string;
  readonly limit: number;
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly model: boolean;
  readonly tensors?: boolean;
  readonly inputShape?: InputShape;
  readonly maxActivationBytes?: number;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'quantized ONNX file')
    .argument('<source...>', SOURCES_HELP)
    .requiredOption('-o, --output <file>', 'where to write the pack, a zip file')
    .option('--limit <n>', 'the first n pictures only', positiveInteger, 16)
    .option('--tensors', 'pack the tensors themselves too, as .npy files')
    .option('--no-model', 'leave the model out: whoever verifies has it')
    // The truth that the other backends are held to; any gives the same.
    .addOption(backendOption().default('reference'))
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .action(async (path: string, sources: string[], options: GoldenCommandOptions) => {
      const pictures = (await findPictures(sources)).slice(0, options.limit);
      await checkWritable(options.output, [path, ...pictures.flatMap(({ files }) => files)]);
      const model = await platform.readFile(path);
      const { graph } = await readNetwork(model, { signal, ...inputSizes(options) });
      const input = graph.inputs.find(({ name }) => !graph.constants.has(name))!;
      const bar = progress('Running');
      const pack = await makeGoldenPack(model, casesOf(input, pictures), {
        backend: options.backend,
        withModel: options.model,
        withTensors: options.tensors === true,
        onProgress: onProgress(bar),
        signal,
        ...activationLimit(options),
        ...inputSizes(options),
      }).finally(() => bar.stop());
      await writeWhole(options.output, pack);
      print(`${options.output}: ${bytes(pack.length)}, ${counted(pictures.length, 'picture')}`);
    });
}

async function* casesOf(
  { name: input, shape }: { readonly name: string; readonly shape: readonly Dimension[] },
  pictures: readonly PictureItem[],
): AsyncGenerator<GoldenCase> {
  const [height, width] = shape.slice(-2).map((size) => (typeof size === 'number' ? size : null));
  const isOpen = height === null || width === null;
  for (const { name, load } of pictures) {
    const picture = await load();
    yield { name, inputs: { [input]: isOpen ? stretchTo(picture, { width, height }) : picture } };
  }
}
