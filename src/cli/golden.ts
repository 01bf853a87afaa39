import type { Command } from 'commander';
import { makeGoldenPack, type GoldenCase } from '../inspect/golden.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
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
import { findPictures, SOURCES_HELP, type PictureItem } from './pictures.ts';

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
      const [{ name }] = (await readGraph(model, { signal, ...inputSizes(options) })).inputs;
      const bar = progress('Running');
      const pack = await makeGoldenPack(model, casesOf(name, pictures), {
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

async function* casesOf(input: string, pictures: readonly PictureItem[]): AsyncGenerator<GoldenCase> {
  for (const { name, load } of pictures) yield { name, inputs: { [input]: await load() } };
}
