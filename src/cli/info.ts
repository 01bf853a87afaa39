import type { Command } from 'commander';
import { InputError, ModelError } from '../errors.ts';
import { describeModel } from '../model/describe.ts';
import { hostNodes } from '../model/host-nodes.ts';
import type { InputShape } from '../model/model.ts';
import { readGraph } from '../model/source.ts';
import { findObstacles } from '../model/support.ts';
import { createOperatorRegistry } from '../ops/registry.ts';
import { lower } from '../program/lower.ts';
import { planMemory } from '../schedule/memory.ts';
import { planToSvg } from '../schedule/picture.ts';
import type { MemoryPlan } from '../schedule/plan.ts';
import { plannedTensors, stepsOf } from '../schedule/steps.ts';
import { platform } from '#platform';
import { checkWritable, writeWhole } from './files.ts';
import { hostNodesText } from './host-nodes.ts';
import { bytes, counted, print, printJson, table } from './output.ts';
import { inputShapeOption, positiveInteger, inputSizes } from './options.ts';

/** Alignment of buffer offsets that every WebGPU adapter takes. */
const ALIGNMENT = 256;

interface InfoOptions {
  readonly plan?: boolean;
  readonly svg?: string;
  readonly batch: number;
  readonly inputShape?: InputShape;
  readonly json?: boolean;
}

export function configure(command: Command): void {
  command
    .argument('<model>', 'ONNX file, float or quantized')
    .option('--plan', 'show where every tensor lies in memory, and when (quantized models)')
    .option('--svg <file>', 'write the memory plan as a picture (quantized models)')
    .option('--batch <n>', 'batch size of the memory plan', positiveInteger, 1)
    .addOption(inputShapeOption())
    .option('--json', 'print JSON')
    .action(async (path: string, options: InfoOptions) => {
      if (options.svg !== undefined) await checkWritable(options.svg, [path]);
      const file = await platform.readFile(path);
      const graph = await readGraph(path, inputSizes(options));
      const description = describeModel(graph);
      const obstacles = description.quantized ? undefined : findObstacles(graph);
      if (obstacles && obstacles.problems.length > 0) throw new ModelError(obstacles.problems);
      const operators = createOperatorRegistry();
      const program = description.quantized ? lower(graph, operators.operators) : undefined;
      const onHost = program ? hostNodes(program, operators) : obstacles!.hostNodes;
      const steps = program && stepsOf(program);
      const plan =
        program &&
        planMemory(plannedTensors(program, options.batch), steps!, { alignment: ALIGNMENT, separate: true });
      if ((options.plan || options.svg !== undefined) && !plan) {
        throw new InputError(`${path} is a float model, which has no memory plan: quantize it first`);
      }
      if (options.svg !== undefined) await writeWhole(options.svg, planToSvg(plan!, steps!));
      if (options.json) {
        printJson({
          file: path,
          fileBytes: file.length,
          ...description,
          hostNodes: onHost,
          batch: options.batch,
          memory: plan,
        });
        return;
      }
      print(`${path}: ${description.name}, opset ${description.opset}, ${bytes(file.length)}`);
      print(
        description.quantized
          ? 'quantized (QDQ): Octet runs it'
          : 'float: quantize it with "octet quantize" to run it',
      );
      for (const [title, values] of [
        ['input', description.inputs],
        ['output', description.outputs],
      ] as const) {
        for (const { name, dtype, shape } of values)
          print(`${title} "${name}" ${dtype} [${shape.join(', ')}]`);
      }
      for (const [key, value] of Object.entries(description.metadata)) print(`${key}: ${value}`);
      print('');
      print(
        table(
          ['layer', 'operator', 'output', ' parameters', ' multiply-adds'],
          description.layers.map(({ name, op, shape, parameters, macs }) => [
            name,
            op,
            shape.join('×'),
            parameters ? parameters.toLocaleString('en') : '',
            macs ? macs.toLocaleString('en') : '',
          ]),
        ),
      );
      print('');
      print(
        `${description.parameters.toLocaleString('en')} parameters, ${description.macs.toLocaleString('en')} multiply-adds an image, ` +
          `${bytes(description.constantBytes)} of constants in memory`,
      );
      if (onHost.length > 0) print(`\n${hostNodesText(onHost)}\n`);
      if (plan) printPlan(plan, options, program.operations.length);
    });
}

function printPlan(plan: MemoryPlan, { plan: whole, batch }: InfoOptions, operations: number): void {
  print(
    `${counted(operations, 'operation')}; activation memory at batch ${batch}: ${bytes(plan.peakBytes)} in ${plan.arenas.length} arenas ` +
      `(lower bound ${bytes(plan.lowerBoundBytes)}, ratio ${(plan.peakBytes / plan.lowerBoundBytes).toFixed(3)}; without reuse ${bytes(plan.naiveBytes)})`,
  );
  if (!whole) return;
  print('');
  print(
    table(
      ['tensor', ' arena', ' offset', ' bytes', ' first step', ' last step'],
      [...plan.allocations]
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
