/** Inspections as commands make them: of files, for devices by name or file, on pictures. */
import { type Command, Option } from 'commander';
import { platform } from '#platform';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { isQuantized } from '../graph/patterns.ts';
import { measureAccuracy } from '../inspect/accuracy.ts';
import { inspectModel, type Inspection, withMeasuredTimes } from '../inspect/inspect.ts';
import type { NamedPicture } from '../inspect/report.ts';
import { analyzeSensitivity } from '../inspect/sensitivity.ts';
import { type DeviceProfile, deviceProfile, deviceProfiles, parseDeviceProfile } from '../inspect/target.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadModel } from '../model/load.ts';
import type { LoadOptions } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { quantize } from '../quantize/quantize.ts';
import type { BackendName } from '../schedule/session.ts';
import { shareMetadata } from './metadata.ts';
import {
  activationLimit,
  decibelLimit,
  inputShapeOption,
  inputSizes,
  maxActivationBytesOption,
  positiveInteger,
  readRecipe,
} from './options.ts';
import { onProgress, progress } from './output.ts';
import { findPictures, loadPictures, type PictureItem, SOURCES_HELP } from './pictures.ts';
import { configuredOnnxRuntime } from './runtime.ts';

export const targetOption = (): Option =>
  new Option(
    '-t, --target <device>',
    `a device profile: ${deviceProfiles.map(({ name }) => name).join(', ')}, or a file that octet device --json wrote`,
  );

/** Adds what every command that inspects takes. */
export function addInspectionOptions(
  command: Command,
  { images, float, threshold }: Readonly<Record<'images' | 'float' | 'threshold', string>>,
): Command {
  return command
    .addOption(targetOption().default('webgpu'))
    .option('--batch <n>', 'images a run', positiveInteger, 1)
    .addOption(inputShapeOption())
    .option('-i, --images <source...>', `${images}, on ${SOURCES_HELP}`)
    .option('--limit <n>', 'the first n pictures only', positiveInteger, 16)
    .option('--float <file>', `${float} (with --images)`)
    .option('--threshold <dB>', `exit code 1 where ${threshold} (with --images)`, decibelLimit)
    .option('--html <file>', 'write a report: one file that opens offline')
    .addOption(maxActivationBytesOption());
}

/** A built-in profile, or a file. */
export async function readTarget(name: string): Promise<DeviceProfile> {
  if (!/[./\\]/.test(name)) return deviceProfile(name);
  return parseDeviceProfile(new TextDecoder().decode(await platform.readFile(name)));
}

/** What a command that inspects may ask for. */
export interface InspectionOptions extends Pick<LoadOptions, 'inputShape' | 'maxActivationBytes'> {
  readonly target: string;
  readonly batch: number;
  readonly limit: number;
  readonly images?: string[];
  readonly float?: string;
  readonly recipe?: string;
  readonly measure?: BackendName;
  readonly threshold?: number;
  readonly sensitivity?: boolean;
  readonly html?: string;
}

/** Inspects a file, and measures what `options` ask for. */
export async function inspectFile(
  path: string,
  graph: Graph,
  target: DeviceProfile,
  options: InspectionOptions,
  signal: AbortSignal,
): Promise<Inspection> {
  const isFloat = !isQuantized(graph);
  const { batch } = options;
  const kernels = options.html !== undefined;
  if (!options.images) {
    if (options.float !== undefined) throw new InputError('--float is compared on pictures: add --images');
    if (options.threshold !== undefined) throw new InputError('--threshold is of pictures: add --images');
    if (options.sensitivity) throw new InputError('--sensitivity is measured on pictures: add --images');
    if (options.measure && isFloat) {
      throw new InputError(`${path} is a float model: --measure takes --images, to quantize it on`);
    }
    return measured(inspectModel(graph, { target, batch, kernels }), graph, options, signal);
  }
  const pictures = (await findPictures(options.images)).slice(0, options.limit);
  if (!isFloat && options.float === undefined) {
    throw new InputError(`${path} is quantized: --float <file> says what it was made from`);
  }
  const [{ graph: float }, { graph: quantized }] = isFloat
    ? [{ graph }, { graph: await quantizedOn(pictures, graph, options, signal) }]
    : shareMetadata([
        { graph: await readGraph(options.float!, { signal, ...inputSizes(options) }) },
        { graph },
      ]);
  const found = inspectModel(graph, { target, batch, kernels, ...(isFloat && { quantized }) });
  const inspection = await measured(found, quantized, options, signal);
  const bar = progress('Measuring');
  const accuracy = await measureAccuracy(float, quantized, loadPictures(pictures), {
    imageCount: pictures.length,
    onnxRuntime: await configuredOnnxRuntime(),
    onProgress: onProgress(bar),
    signal,
    ...activationLimit(options),
  }).finally(() => bar.stop());
  if (!options.sensitivity) return { ...inspection, accuracy };
  const layers = progress('Layer by layer');
  const sensitivity = await analyzeSensitivity(float, quantized, loadPictures(pictures), {
    onnxRuntime: await configuredOnnxRuntime(),
    onProgress: onProgress(layers),
    signal,
  }).finally(() => layers.stop());
  return { ...inspection, accuracy, sensitivity };
}

async function quantizedOn(
  pictures: readonly PictureItem[],
  graph: Graph,
  options: InspectionOptions,
  signal: AbortSignal,
): Promise<Graph> {
  const bar = progress('Calibrating');
  const { graph: quantized } = await quantize(graph, imageBatches(graph, loadPictures(pictures)), {
    recipe: await readRecipe(options.recipe),
    imageCount: pictures.length,
    onnxRuntime: await configuredOnnxRuntime(),
    onProgress: onProgress(bar),
    signal,
  }).finally(() => bar.stop());
  return quantized;
}

async function measured(
  inspection: Inspection,
  graph: Graph,
  options: InspectionOptions,
  signal: AbortSignal,
): Promise<Inspection> {
  if (!options.measure) return inspection;
  const model = await loadModel(graph, { backend: options.measure, signal, ...activationLimit(options) });
  try {
    return withMeasuredTimes(inspection, await model.profile({ batch: options.batch, signal }));
  } finally {
    model.dispose();
  }
}

/** What a report shows of the pictures that accuracy was measured on. */
export async function reportPictures({ images, limit }: InspectionOptions): Promise<NamedPicture[]> {
  const named: NamedPicture[] = [];
  for (const { name, load } of images ? (await findPictures(images)).slice(0, limit) : []) {
    named.push({ name, picture: await load() });
  }
  return named;
}
