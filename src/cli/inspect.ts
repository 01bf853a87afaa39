import type { Command } from 'commander';
import { InputError, ModelError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { isQuantized } from '../graph/patterns.ts';
import { measureAccuracy } from '../inspect/accuracy.ts';
import { inspectModel, type Inspection, withMeasuredTimes } from '../inspect/inspect.ts';
import { inspectionSvg, type PictureOf, toDot } from '../inspect/picture.ts';
import { inspectionHtml } from '../inspect/report.ts';
import { type DeviceProfile, deviceProfile, deviceProfiles, parseDeviceProfile } from '../inspect/target.ts';
import { inspectionText } from '../inspect/text.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadModel } from '../model/load.ts';
import type { InputShape } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { quantize } from '../quantize/quantize.ts';
import { planToSvg } from '../schedule/picture.ts';
import type { MemoryPlan } from '../schedule/plan.ts';
import type { BackendName } from '../schedule/session.ts';
import { platform } from '#platform';
import { CheckFailure, type CommandContext } from './context.ts';
import { checkWritable, writeWhole } from './files.ts';
import { shareMetadata } from './metadata.ts';
import { bytes, decibels, onProgress, print, printJson, progress, table } from './output.ts';
import {
  activationLimit,
  decibelLimit,
  inputShapeOption,
  inputSizes,
  maxActivationBytesOption,
  positiveInteger,
  readRecipe,
  verbosity,
} from './options.ts';
import { findPictures, loadPictures, SOURCES_HELP, type PictureItem } from './pictures.ts';
import { configuredOnnxRuntime } from './runtime.ts';

interface InspectCommandOptions {
  readonly target: string;
  readonly batch: number;
  readonly inputShape?: InputShape;
  readonly maxActivationBytes?: number;
  readonly verbose: 0 | 1 | 2;
  readonly images?: string[];
  readonly limit: number;
  readonly float?: string;
  readonly recipe?: string;
  readonly measure?: BackendName;
  readonly threshold?: number;
  readonly html?: string;
  readonly svg?: string;
  readonly gv?: string;
  readonly operations?: boolean;
  readonly plan?: boolean;
  readonly planSvg?: string;
  readonly json?: boolean;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'ONNX file, float or quantized')
    .option(
      '-t, --target <device>',
      `a device profile: ${deviceProfiles.map(({ name }) => name).join(', ')}, or a file that octet device --json wrote`,
      'webgpu',
    )
    .option('--batch <n>', 'images a run', positiveInteger, 1)
    .addOption(inputShapeOption())
    .option('--verbose <level>', '0: sums; 1: each node, and why; 2: each operation too', verbosity, 1)
    .option('-i, --images <source...>', `measure what rounding loses, on ${SOURCES_HELP}`)
    .option('--limit <n>', 'the first n pictures only', positiveInteger, 16)
    .option('--float <file>', 'the float model that a quantized one was made from (with --images)')
    .option('-r, --recipe <file>', 'how a float model is quantized on the pictures')
    .option('--threshold <dB>', 'exit code 1 where a value has a lower SQNR (with --images)', decibelLimit)
    .option('--measure <backend>', 'time each operation here: webgpu, wasm, reference', parseBackend)
    .option('--html <file>', 'write a report: one file that opens offline')
    .option('--svg <file>', 'write the graph as a picture')
    .option('--gv <file>', 'write the graph in Graphviz’s language')
    .option('--operations', 'for --svg and --gv: the operations that run, in place of the nodes of the file')
    .option('--plan', 'show where every tensor lies in memory, and when')
    .option('--plan-svg <file>', 'write the memory plan as a picture')
    .addOption(maxActivationBytesOption())
    .option('--json', 'print JSON (docs/inspection.schema.json)')
    .action(async (path: string, options: InspectCommandOptions) => {
      const written = [options.html, options.svg, options.gv, options.planSvg].filter(
        (name) => name !== undefined,
      );
      for (const file of written) await checkWritable(file, [path]);
      const target = await readTarget(options.target);
      const file = await platform.readFile(path);
      const graph = await readGraph(path, { signal, ...inputSizes(options) });
      const inspection = await inspect(path, graph, target, options, signal);
      const { memory, steps, problems } = inspection;
      const wantsPlan = options.plan === true || options.planSvg !== undefined;
      if (wantsPlan && inspection.assumed) {
        throw new InputError(`${path} is a float model, which has no memory plan: quantize it first`);
      }
      const of: PictureOf = options.operations ? 'operations' : 'nodes';
      if (options.html !== undefined) await writeWhole(options.html, await inspectionHtml(inspection));
      if (options.svg !== undefined) await writeWhole(options.svg, await inspectionSvg(inspection, of));
      if (options.gv !== undefined) await writeWhole(options.gv, toDot(inspection, of));
      if (options.planSvg !== undefined && memory)
        await writeWhole(options.planSvg, planToSvg(memory, steps));
      if (options.json) printJson({ file: path, fileBytes: file.length, ...inspection });
      else printInspection(path, file.length, inspection, options);
      if (problems.length > 0) throw new ModelError(problems);
      checkThreshold(inspection, options.threshold);
    });
}

function parseBackend(text: string): BackendName {
  if (text === 'webgpu' || text === 'wasm' || text === 'reference') return text;
  throw new InputError(`--measure takes webgpu, wasm or reference, not "${text}"`);
}

/** A built-in profile, or a file. */
async function readTarget(name: string): Promise<DeviceProfile> {
  if (!/[./\\]/.test(name)) return deviceProfile(name);
  return parseDeviceProfile(new TextDecoder().decode(await platform.readFile(name)));
}

async function inspect(
  path: string,
  graph: Graph,
  target: DeviceProfile,
  options: InspectCommandOptions,
  signal: AbortSignal,
): Promise<Inspection> {
  const isFloat = !isQuantized(graph);
  const { batch } = options;
  if (!options.images) {
    if (options.float !== undefined) throw new InputError('--float is compared on pictures: add --images');
    if (options.threshold !== undefined) throw new InputError('--threshold is of pictures: add --images');
    if (options.measure && isFloat) {
      throw new InputError(`${path} is a float model: --measure takes --images, to quantize it on`);
    }
    return measured(inspectModel(graph, { target, batch }), graph, options, signal);
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
  const found = inspectModel(graph, { target, batch, ...(isFloat && { quantized }) });
  const inspection = await measured(found, quantized, options, signal);
  const bar = progress('Measuring');
  const accuracy = await measureAccuracy(float, quantized, loadPictures(pictures), {
    imageCount: pictures.length,
    onnxRuntime: await configuredOnnxRuntime(),
    onProgress: onProgress(bar),
    signal,
    ...inputSizes(options),
    ...activationLimit(options),
  }).finally(() => bar.stop());
  return { ...inspection, accuracy };
}

async function quantizedOn(
  pictures: readonly PictureItem[],
  graph: Graph,
  options: InspectCommandOptions,
  signal: AbortSignal,
): Promise<Graph> {
  const bar = progress('Calibrating');
  const { graph: quantized } = await quantize(
    graph,
    imageBatches(graph, loadPictures(pictures), inputSizes(options)),
    {
      recipe: await readRecipe(options.recipe),
      imageCount: pictures.length,
      onnxRuntime: await configuredOnnxRuntime(),
      onProgress: onProgress(bar),
      signal,
    },
  ).finally(() => bar.stop());
  return quantized;
}

async function measured(
  inspection: Inspection,
  graph: Graph,
  options: InspectCommandOptions,
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

function checkThreshold({ accuracy }: Inspection, threshold: number | undefined): void {
  if (threshold === undefined || !accuracy) return;
  const below = accuracy.values.filter(({ sqnr }) => sqnr < threshold);
  if (below.length === 0) return;
  const names = below.map(({ name, sqnr }) => `${name} (${decibels(sqnr)} dB)`);
  throw new CheckFailure(`SQNR below ${threshold} dB: ${names.join(', ')}`);
}

function printInspection(
  path: string,
  fileBytes: number,
  inspection: Inspection,
  { verbose, plan }: InspectCommandOptions,
): void {
  const { model, memory } = inspection;
  print(`${path}: ${model.name}, opset ${model.opset}, ${bytes(fileBytes)}`);
  print(
    model.quantized ? 'quantized (QDQ): Octet runs it' : 'float: quantize it with "octet quantize" to run it',
  );
  for (const [title, values] of [
    ['input', model.inputs],
    ['output', model.outputs],
  ] as const) {
    for (const { name, dtype, shape } of values) print(`${title} "${name}" ${dtype} [${shape.join(', ')}]`);
  }
  for (const [key, value] of Object.entries(model.metadata)) print(`${key}: ${value}`);
  print('');
  print(inspectionText(inspection, verbose, table));
  if (plan && memory) printPlan(memory);
}

function printPlan({ allocations }: MemoryPlan): void {
  print('');
  print(
    table(
      ['tensor', ' arena', ' offset', ' bytes', ' first step', ' last step'],
      [...allocations]
        .sort((a, b) => a.firstStep - b.firstStep)
        .map(({ name, arena, offset, bytes: size, firstStep, lastStep }) => [
          name,
          arena,
          offset,
          size,
          firstStep,
          lastStep,
        ]),
    ),
  );
}
