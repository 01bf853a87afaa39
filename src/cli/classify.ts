import { createWriteStream, existsSync } from 'node:fs';
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { loadModel } from '../model/load.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import { batchSizes } from '../serve/batcher.ts';
import { classifyLines, readDone } from './jsonl.ts';
import {
  activationLimit,
  backendOption,
  checkDefault,
  DEFAULT_INT8_MODEL,
  inputShapeOption,
  maxActivationBytesOption,
  positiveInteger,
  inputSizes,
} from './options.ts';
import { noteBackend, percent, print, printJson } from './output.ts';
import { findPictures } from './pictures.ts';
import type { CommandContext } from './context.ts';

interface ClassifyCommandOptions {
  readonly model: string;
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly top: number;
  readonly json?: boolean;
  readonly jsonl?: boolean;
  readonly output?: string;
  readonly resume?: boolean;
  readonly batch: number;
  readonly threads?: number;
}

export function configure(command: Command, { signal, verbose }: CommandContext): void {
  command
    .argument(
      '[picture...]',
      'PNG, JPEG, WebP, GIF or AVIF files, folders of them, or a contact sheet’s .json',
    )
    .option('-m, --model <file>', 'quantized ONNX file', DEFAULT_INT8_MODEL)
    .addOption(backendOption())
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--top <k>', 'how many classes to show', positiveInteger, 5)
    .option('--json', 'print JSON')
    .option(
      '--jsonl',
      'read a path or a JSON object a line from standard input, and write a line for each: predictions, or its error',
    )
    .option('-o, --output <file>', 'with --jsonl: write to this file')
    .option('--resume', 'with --output: go on behind the answers that the file has')
    .option('--batch <n>', 'with --jsonl: pictures a run', positiveInteger, 8)
    .option('--threads <n>', 'threads on the wasm backend', positiveInteger)
    .action(async (sources: string[], options: ClassifyCommandOptions) => {
      if (options.model === DEFAULT_INT8_MODEL) checkDefault(options.model, 'a quantized model with --model');
      if (options.jsonl) return classifyStandardInput(sources, options, signal);
      if (options.output !== undefined || options.resume) {
        throw new InputError('--output and --resume are for --jsonl');
      }
      if (sources.length === 0)
        throw new InputError('name the pictures to classify, or read them with --jsonl');
      const pictures = await findPictures(sources);
      const model = await loadModel(options.model, {
        backend: options.backend,
        signal,
        ...loadLimits(options),
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
        else noteBackend(model, verbose);
      } finally {
        model.dispose();
      }
    });
}

const loadLimits = ({ threads, ...options }: ClassifyCommandOptions) => ({
  ...activationLimit(options),
  ...inputSizes(options),
  ...(threads !== undefined && { threads }),
});

async function classifyStandardInput(
  sources: readonly string[],
  options: ClassifyCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const { model: path, backend, top, batch, output: file, resume } = options;
  if (sources.length > 0) throw new InputError('--jsonl reads pictures from standard input: name none');
  if (resume && file === undefined) throw new InputError('--resume needs --output: the file to go on with');
  const resumes = resume === true && existsSync(file!);
  if (file !== undefined && !resumes && existsSync(file)) {
    throw new InputError(`${file} is there already: add --resume to go on with it, or name another`);
  }
  const model = await loadModel(path, {
    backend,
    signal,
    batches: batchSizes(batch),
    ...loadLimits(options),
  });
  // Ctrl-C is heard while nothing comes in, too.
  signal.addEventListener('abort', () => process.stdin.destroy(signal.reason as Error), { once: true });
  try {
    await classifyLines(model, {
      input: process.stdin,
      output: file === undefined ? process.stdout : createWriteStream(file, { flags: 'a' }),
      ...(resumes && { done: readDone(file!) }),
      top,
      batch,
      signal,
    });
  } finally {
    model.dispose();
  }
}
