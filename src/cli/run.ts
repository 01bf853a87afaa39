import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { loadModel } from '../model/load.ts';
import type { InputShape, LoadOptions, OutputTensor } from '../model/model.ts';
import { pointsToPicture, placementOf } from '../vision/placement.ts';
import type { Picture } from '../vision/picture.ts';
import { rotatedBoxes, type RotatedBox } from '../vision/rotated-boxes.ts';
import type { CommandContext } from './context.ts';
import { checkWritable, writeWhole } from './files.ts';
import {
  activationLimit,
  backendOption,
  finiteNumber,
  inputShapeOption,
  inputSizes,
  maxActivationBytesOption,
  positiveInteger,
} from './options.ts';
import { counted, noteBackend, print, printJson, table } from './output.ts';
import { findPictures, stretchTo } from './pictures.ts';

interface RunCommandOptions {
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly threads?: number;
  readonly draw?: string;
  readonly threshold: number;
  readonly grow: number;
  readonly json?: boolean;
}

const FORMATS = { '.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg', '.webp': 'webp' } as const;

export function configure(command: Command, { signal, verbose }: CommandContext): void {
  command
    .argument('<model>', 'quantized ONNX file')
    .argument('<picture>', 'a picture file; it is stretched to the size of the input')
    .addOption(backendOption())
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--threads <n>', 'threads on the wasm backend', positiveInteger)
    .option(
      '--draw <file>',
      'of a network whose output is a map of probabilities, such as a text detector: find the objects on it, and write the picture with a box around each',
    )
    .option(
      '--threshold <p>',
      'with --draw: places of the map above this belong to an object',
      finiteNumber,
      0.3,
    )
    .option(
      '--grow <factor>',
      'with --draw: how far boxes grow, times area / circumference (PP-OCR is trained for 1.6)',
      finiteNumber,
      0,
    )
    .option('--json', 'print JSON')
    .action(async (path: string, source: string, options: RunCommandOptions) => {
      const items = await findPictures([source]);
      if (items.length !== 1) throw new InputError(`${source} has ${items.length} pictures: name one`);
      const [item] = items;
      const format =
        options.draw === undefined ? undefined : await drawnFormat(options.draw, [path, ...item.files]);
      const picture = await item.load();
      const model = await loadModel(path, {
        backend: options.backend,
        signal,
        ...activationLimit(options),
        ...inputSizes(options),
        ...(options.threads !== undefined && { threads: options.threads }),
      });
      try {
        const [{ name, width, height }] = model.inputs;
        const input = stretchTo(picture, { width, height });
        const { outputs } = await model.run({ [name]: input }, { signal, integers: true });
        const boxes = format === undefined ? undefined : boxesOf(outputs, picture, options);
        if (boxes) {
          const polygons = boxes.map(({ corners }) => corners);
          const { drawPolygons } = await import('./draw.ts');
          await writeWhole(options.draw!, await drawPolygons(picture, polygons, format!));
        }
        const described = Object.entries(outputs).map(([output, tensor]) => ({
          name: output,
          ...describe(tensor),
        }));
        if (options.json) {
          printJson({
            picture: item.name,
            backend: model.backend,
            outputs: described,
            ...(boxes && { boxes }),
          });
          return;
        }
        print(
          table(
            ['output', 'shape', ' smallest', ' largest', 'SHA-256 of the integers'],
            described.map(({ name: output, shape, min, max, digest }) => [
              output,
              shape.join('×'),
              min.toPrecision(4),
              max.toPrecision(4),
              digest,
            ]),
          ),
        );
        if (boxes) print(`${options.draw}: ${counted(boxes.length, 'object')}`);
        noteBackend(model, verbose);
      } finally {
        model.dispose();
      }
    });
}

async function drawnFormat(file: string, sources: readonly string[]): Promise<'png' | 'jpeg' | 'webp'> {
  const extension = extname(file).toLowerCase();
  if (!(extension in FORMATS)) {
    throw new InputError(
      `cannot draw into ${file}: name a file that ends in ${Object.keys(FORMATS).join(', ')}`,
    );
  }
  await checkWritable(file, sources);
  return FORMATS[extension as keyof typeof FORMATS];
}

function describe({ shape, data, integers }: OutputTensor) {
  let [min, max] = [Infinity, -Infinity];
  for (const value of data) {
    min = Math.min(min, Number(value));
    max = Math.max(max, Number(value));
  }
  const { buffer, byteOffset, byteLength } = integers!;
  const digest = createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
  return { shape, min, max, digest };
}

/** @throws {InputError} no output is a map of one channel */
function boxesOf(
  outputs: Readonly<Record<string, OutputTensor>>,
  picture: Picture,
  { threshold, grow }: RunCommandOptions,
): RotatedBox[] {
  const found = Object.entries(outputs).find(
    ([, { shape }]) => shape.length === 4 && shape[1] === 1 && shape[2] > 1 && shape[3] > 1,
  );
  if (!found) {
    const shapes = Object.entries(outputs).map(([name, { shape }]) => `"${name}" [${shape.join(', ')}]`);
    throw new InputError(
      `--draw finds objects on a map of probabilities [1, 1, height, width], and the outputs are ${shapes.join(', ')}`,
    );
  }
  const [, { shape, data }] = found;
  const [height, width] = shape.slice(2);
  const placement = placementOf(picture, width, height, 'stretch');
  return rotatedBoxes({ width, height, data: Float32Array.from(data, Number) }, { threshold, grow }).map(
    ({ corners, score }) => ({
      // A corner is the middle of a place, half a pixel from its edge.
      corners: [
        ...pointsToPicture(
          corners.map((value) => value + 0.5),
          placement,
        ),
      ],
      score,
    }),
  );
}
