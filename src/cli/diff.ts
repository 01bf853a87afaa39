import type { Command } from 'commander';
import { diffModels } from '../inspect/diff-models.ts';
import { figureText, figureTitles, type LayerFigures, type ModelDiff } from '../inspect/diff.ts';
import type { Inspection } from '../inspect/inspect.ts';
import { inspectionHtml } from '../inspect/report.ts';
import { inBytes, inMilliseconds } from '../inspect/text.ts';
import { readGraph } from '../model/source.ts';
import { CheckFailure, type CommandContext } from './context.ts';
import { checkWritable, writeWhole } from './files.ts';
import {
  addInspectionOptions,
  inspectFile,
  type InspectionOptions,
  readTarget,
  reportPictures,
} from './inspection.ts';
import { ModelError } from '../errors.ts';
import { inputSizes } from './options.ts';
import { print, printJson, table } from './output.ts';

interface DiffCommandOptions extends InspectionOptions {
  readonly json?: boolean;
}

export function configure(command: Command, { signal }: CommandContext): void {
  command.argument('<before>', 'ONNX file').argument('<after>', 'another version of it: another recipe, say');
  addInspectionOptions(command, {
    images: 'measure what rounding loses in both',
    float: 'the float model that both were made from',
    threshold: 'a layer loses more SQNR than that',
  })
    .option('--json', 'print JSON: before, after (docs/inspection.schema.json), and each layer')
    .action(async (before: string, after: string, options: DiffCommandOptions) => {
      if (options.html !== undefined) await checkWritable(options.html, [before, after]);
      const target = await readTarget(options.target);
      const inspected: Inspection[] = [];
      for (const path of [before, after]) {
        const graph = await readGraph(path, { signal, ...inputSizes(options) });
        inspected.push(await inspectFile(path, graph, target, options, signal));
      }
      const problems = inspected.flatMap((each) => each.problems);
      if (problems.length > 0) throw new ModelError(problems);
      const diff = diffModels(inspected[0], inspected[1]);
      if (options.html !== undefined) {
        const pictures = await reportPictures(options);
        await writeWhole(options.html, await inspectionHtml(diff.after, { before: diff.before, pictures }));
      }
      if (options.json) printJson(diff);
      else printDiff(before, after, diff);
      checkThreshold(diff, options.threshold);
    });
}

function printDiff(before: string, after: string, diff: ModelDiff): void {
  const { layers } = diff;
  print(`${before} → ${after}, on ${diff.after.target.title}, batch ${diff.after.batch}`);
  print('');
  print(table(['', ' before', ' after'], totals(diff)));
  const changed = layers.filter(({ differs }) => differs.length > 0);
  print('');
  if (changed.length === 0) {
    print(`all ${layers.length} layers are the same`);
    return;
  }
  const keys = (Object.keys(figureTitles) as (keyof LayerFigures)[]).filter((key) =>
    changed.some(({ differs }) => differs.includes(key)),
  );
  print(`${changed.length} of ${layers.length} layers differ; the others are the same`);
  print(
    table(
      ['layer', 'operator', ...keys.map((key) => figureTitles[key])],
      changed.map(({ name, op, before: one, after: other, differs }) => [
        name,
        op,
        ...keys.map((key) => {
          if (!one) return `new: ${figureText(key, other)}`;
          if (!other) return `gone: ${figureText(key, one)}`;
          const now = figureText(key, other);
          return differs.includes(key) ? `${figureText(key, one)} → ${now}` : now;
        }),
      ]),
    ),
  );
}

function totals({ before, after }: ModelDiff): string[][] {
  const rows: [string, (inspection: Inspection) => string | null][] = [
    [
      'weights in the file',
      ({ operations }) => inBytes(operations.reduce((sum, { weightBytes }) => sum + (weightBytes ?? 0), 0)),
    ],
    ['constants in memory', ({ totals: { constantBytes } }) => inBytes(constantBytes)],
    ['moved a run', ({ totals: { bytes } }) => inBytes(bytes)],
    ['activation memory', ({ memory }) => memory && inBytes(memory.peakBytes)],
    ['host stages', ({ totals: { hostStages } }) => String(hostStages)],
    ['expected time', ({ totals: { expectedMs } }) => inMilliseconds(expectedMs)],
    [
      'same class as float',
      ({ accuracy }) =>
        accuracy && accuracy.agreement !== null ? `${(100 * accuracy.agreement).toFixed(1)} %` : null,
    ],
  ];
  return rows.flatMap(([title, of]) => {
    const [one, other] = [of(before), of(after)];
    return one === null && other === null ? [] : [[title, one ?? '–', other ?? '–']];
  });
}

function checkThreshold({ layers }: ModelDiff, threshold: number | undefined): void {
  if (threshold === undefined) return;
  const worse = layers.flatMap(({ name, before, after }) => {
    const lost = (before?.sqnr ?? NaN) - (after?.sqnr ?? NaN);
    return lost > threshold ? [`${name} (${lost.toFixed(1)} dB)`] : [];
  });
  if (worse.length > 0)
    throw new CheckFailure(`SQNR falls by more than ${threshold} dB: ${worse.join(', ')}`);
}
