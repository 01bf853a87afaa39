import type { Command } from 'commander';
import { InputError, ModelError } from '../errors.ts';
import type { Inspection } from '../inspect/inspect.ts';
import { inspectionSvg, type PictureOf, toDot } from '../inspect/picture.ts';
import { inspectionHtml } from '../inspect/report.ts';
import { inspectionText } from '../inspect/text.ts';
import { readGraph } from '../model/source.ts';
import { planToSvg } from '../schedule/picture.ts';
import type { MemoryPlan } from '../schedule/plan.ts';
import type { BackendName } from '../schedule/session.ts';
import { platform } from '#platform';
import { CheckFailure, type CommandContext } from './context.ts';
import { checkWritable, writeWhole } from './files.ts';
import {
  addInspectionOptions,
  inspectFile,
  type InspectionOptions,
  readTarget,
  reportPictures,
} from './inspection.ts';
import { bytes, decibels, print, printJson, table } from './output.ts';
import { inputSizes, verbosity } from './options.ts';

interface InspectCommandOptions extends InspectionOptions {
  readonly verbose: 0 | 1 | 2;
  readonly svg?: string;
  readonly gv?: string;
  readonly operations?: boolean;
  readonly plan?: boolean;
  readonly planSvg?: string;
  readonly json?: boolean;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command.argument('<model>', 'ONNX file, float or quantized');
  addInspectionOptions(command, {
    images: 'measure what rounding loses',
    float: 'the float model that a quantized one was made from',
    threshold: 'a value has a lower SQNR',
  })
    .option('--verbose <level>', '0: sums; 1: each node, and why; 2: each operation too', verbosity, 1)
    .option('-r, --recipe <file>', 'how a float model is quantized on the pictures')
    .option(
      '--sensitivity',
      'what rounding each layer costs the answers, weights and activations apart, ranked (with --images)',
    )
    .option('--measure <backend>', 'time each operation here: webgpu, wasm, reference', parseBackend)
    .option('--svg <file>', 'write the graph as a picture')
    .option('--gv <file>', 'write the graph in Graphviz’s language')
    .option('--operations', 'for --svg and --gv: the operations that run, in place of the nodes of the file')
    .option('--plan', 'show where every tensor lies in memory, and when')
    .option('--plan-svg <file>', 'write the memory plan as a picture')
    .option('--json', 'print JSON (docs/inspection.schema.json)')
    .action(async (path: string, options: InspectCommandOptions) => {
      const written = [options.html, options.svg, options.gv, options.planSvg].filter(
        (name) => name !== undefined,
      );
      for (const file of written) await checkWritable(file, [path]);
      const target = await readTarget(options.target);
      const file = await platform.readFile(path);
      const graph = await readGraph(path, { signal, ...inputSizes(options) });
      const inspection = await inspectFile(path, graph, target, options, signal);
      const { memory, steps, problems } = inspection;
      const wantsPlan = options.plan === true || options.planSvg !== undefined;
      if (wantsPlan && inspection.assumed) {
        throw new InputError(`${path} is a float model, which has no memory plan: quantize it first`);
      }
      const of: PictureOf = options.operations ? 'operations' : 'nodes';
      if (options.html !== undefined) {
        const pictures = await reportPictures(options);
        await writeWhole(options.html, await inspectionHtml(inspection, { pictures }));
      }
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
