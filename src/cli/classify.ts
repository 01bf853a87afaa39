import type { Command } from 'commander';
import { loadModel } from '../model/load.ts';
import type { LoadOptions } from '../model/model.ts';
import { activationLimit, backendOption, maxActivationBytesOption, positiveInteger } from './options.ts';
import { note, percent, print, printJson } from './output.ts';
import { findPictures } from './pictures.ts';
import type { CommandContext } from './context.ts';

interface ClassifyCommandOptions {
  readonly model: string;
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly maxActivationBytes?: number;
  readonly top: number;
  readonly json?: boolean;
}

export function addClassifyCommand(program: Command, { signal }: CommandContext): void {
  program
    .command('classify')
    .description('say what is in pictures: most probable classes with their probabilities')
    .argument(
      '<picture...>',
      'PNG, JPEG, WebP, GIF or AVIF files, folders of them, or a contact sheet’s .json',
    )
    .option('-m, --model <file>', 'quantized ONNX file', 'models/vgg16-cifar10.int8.onnx')
    .addOption(backendOption())
    .addOption(maxActivationBytesOption())
    .option('--top <k>', 'how many classes to show', positiveInteger, 5)
    .option('--json', 'print JSON')
    .action(async (sources: string[], options: ClassifyCommandOptions) => {
      const pictures = await findPictures(sources);
      const model = await loadModel(options.model, {
        backend: options.backend,
        signal,
        ...activationLimit(options),
      });
      try {
        const results = [];
        for (const item of pictures) {
          const picture = await item.load();
          const { predictions, timings } = await model.classify(picture, { topK: options.top, signal });
          results.push({ picture: item.name, truth: item.className, predictions, timings });
          if (options.json) continue;
          print(item.className === undefined ? item.name : `${item.name} (${item.className})`);
          for (const { label, probability } of predictions)
            print(`${percent(probability).padStart(9)}  ${label}`);
        }
        if (options.json) printJson({ backend: model.backend, backendReason: model.backendReason, results });
        else note(`run by ${model.backend}: ${model.backendReason}`);
      } finally {
        model.dispose();
      }
    });
}
