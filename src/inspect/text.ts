/** An inspection for people, as text. */
import { log } from '../numerics/elementary.ts';
import { rankLayers, type RankedLayer, recipeText, worthChanging } from './advice.ts';
import type { Inspection, InspectedNode, InspectedOperation } from './inspect.ts';
import type { Effect } from './sensitivity.ts';

/** What a table is made of: heads that start with a space are of columns of numbers. */
export type TableWriter = (
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
) => string;

const stageNames = {
  device: 'device',
  host: 'host',
  none: '–',
  refused: 'REFUSED',
} as const;

export const integer = (value: number): string => (value ? value.toLocaleString('en') : '');

/** Bytes in decimal units. */
export function inBytes(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(2)} MB`;
}

/** `2^21.4`: bounds of accumulators are compared by their bits. */
export function inBits(bound: number | null): string {
  return bound === null ? '' : `2^${(log(bound) / Math.LN2).toFixed(1)}`;
}

export function inMilliseconds(ms: number): string {
  return ms < 0.1 ? `${(1000 * ms).toFixed(1)} µs` : `${ms.toFixed(2)} ms`;
}

/**
 * @param verbose 0: the sums; 1: also each node, and why; 2: also each operation of the program
 */
export function inspectionText(inspection: Inspection, verbose: 0 | 1 | 2, table: TableWriter): string {
  const parts = [summary(inspection)];
  if (verbose >= 1) parts.push(nodeTable(inspection, table));
  if (verbose >= 2 && inspection.operations.length > 0) parts.push(operationTable(inspection, table));
  if (inspection.sensitivity) parts.push(sensitivityText(inspection, verbose, table));
  return parts.join('\n\n');
}

function summary(inspection: Inspection): string {
  const { target, totals, batch, model, assumed, problems, memory, accuracy } = inspection;
  const { nodes } = totals;
  const lines = [
    `on ${target.title} (${target.name}, ${target.source} figures), batch ${batch}`,
    `${model.parameters.toLocaleString('en')} parameters, ${model.macs.toLocaleString('en')} multiply-adds an image, ${inBytes(model.constantBytes)} of constants in memory`,
  ];
  if (problems.length > 0) {
    lines.push(`it cannot run: ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`);
    return lines.join('\n');
  }
  const share = totals.macs > 0 ? (100 * totals.hostMacs) / totals.macs : 0;
  lines.push(
    `${nodes.device} nodes on the device, ${nodes.host} on the host (${share.toFixed(2)} % of the multiply-adds, ${totals.hostStages} ${totals.hostStages === 1 ? 'hand-over' : 'hand-overs'}), ${nodes.none} without work of their own`,
    `${inspection.operations.length} operations, ${totals.dispatches} dispatches, ${inBytes(totals.bytes)} moved, ${inBytes(totals.constantBytes)} of weights and tables`,
    `expected ${inMilliseconds(totals.expectedMs)} a run${totals.measuredMs === null ? '' : `, measured ${inMilliseconds(totals.measuredMs)}`}`,
  );
  if (memory) {
    lines.push(
      `activation memory at batch ${batch}: ${inBytes(memory.peakBytes)} in ${memory.arenas.length} arenas ` +
        `(lower bound ${inBytes(memory.lowerBoundBytes)}, ratio ${(memory.peakBytes / memory.lowerBoundBytes).toFixed(3)}; without reuse ${inBytes(memory.naiveBytes)})`,
    );
  }
  if (accuracy) {
    const worst = [...accuracy.values].sort((a, b) => a.sqnr - b.sqnr).slice(0, 3);
    lines.push(
      `on ${accuracy.pictures} pictures, lowest SQNR: ${worst.map(({ name, sqnr }) => `${name} ${sqnr.toFixed(1)} dB`).join(', ')}` +
        (accuracy.agreement === null
          ? ''
          : `; same class as float on ${(100 * accuracy.agreement).toFixed(1)} %`),
    );
  }
  if (assumed) lines.push('nothing is calibrated yet: scales and accumulator bounds are assumed');
  return lines.join('\n');
}

/** The operation that is this node's first, whose figures stand in its row: others share it. */
export function ownOperation(
  { operations }: Pick<Inspection, 'operations'>,
  node: InspectedNode,
): InspectedOperation | undefined {
  return node.operations.map((index) => operations[index]).find(({ name }) => name === node.name);
}

function nodeTable(inspection: Inspection, table: TableWriter): string {
  const sqnr = new Map(inspection.accuracy?.values.map((value) => [value.name, value.sqnr]));
  const rows = inspection.nodes.map((node) => {
    const own = ownOperation(inspection, node);
    const decibels = sqnr.get(node.value) ?? sqnr.get(own?.output.name ?? '');
    return [
      node.name,
      node.op,
      node.shape.join('×'),
      integer(node.parameters),
      integer(node.macs),
      stageNames[node.stage],
      inBits(own?.accumulatorBound ?? null),
      own ? inMilliseconds(own.measuredMs ?? own.expected.ms) : '',
      ...(inspection.accuracy ? [decibels === undefined ? '' : decibels.toFixed(1)] : []),
      node.reason,
    ];
  });
  return table(
    [
      ...['node', 'operator', 'output', ' parameters', ' multiply-adds', 'runs on', ' |acc|', ' time'],
      ...(inspection.accuracy ? [' SQNR dB'] : []),
      'why',
    ],
    rows,
  );
}

function operationTable({ operations }: Inspection, table: TableWriter): string {
  return table(
    [
      ...['operation', 'kind', 'kernel', ' of', ' dispatches', ' multiply-adds', ' moved', ' constants'],
      ...[' weight bits', ' |acc|', 'result', ' expected', 'waits for', ' measured'],
    ],
    operations.map((each) => [
      each.name,
      each.kind,
      each.kernel ?? 'host',
      each.candidates || '',
      each.dispatches,
      integer(each.macs),
      inBytes(each.bytes),
      inBytes(each.constantBytes),
      each.weightBits ?? '',
      inBits(each.accumulatorBound),
      `${each.output.type} ${each.output.shape.join('×')}`,
      inMilliseconds(each.expected.ms),
      each.expected.limit,
      each.measuredMs === null ? '' : inMilliseconds(each.measuredMs),
    ]),
  );
}

/** How many answers of the model change, in words. */
export function inAnswers({ otherAnswers }: Effect, pictures: number): string {
  return otherAnswers === null ? '' : `${otherAnswers.length} of ${pictures} answers differ`;
}

/** `weights of 4 bits` */
export const inParts = ({ kind, bits }: Pick<RankedLayer, 'kind' | 'bits'>): string =>
  `${kind === 'weights' ? 'weights' : 'result'} of ${bits} bits`;

/** What is shown as 0.1 µs. */
export const LEAST_MS = 5e-5;

/** What a recipe would change, and what that costs. */
export function inCosts({ change, bytes, ms }: RankedLayer): string {
  if (!change) return 'has 16 bits: another observer may help';
  const bits = change.weights?.bits ?? change.activations?.bits;
  const what = bits === undefined ? 'in float on the host' : `${bits} bits`;
  const costs = [
    ...(bytes > 0 ? [`+${inBytes(bytes)}`] : []),
    ...(ms >= LEAST_MS ? [`+${inMilliseconds(ms)}`] : []),
  ];
  return [what, ...costs].join(', ');
}

/** Rows of the ranked table below the highest verbosity. */
const RANKED = 16;

function sensitivityText(inspection: Inspection, verbose: 0 | 1 | 2, table: TableWriter): string {
  const { pictures, all, weights, activations } = inspection.sensitivity!;
  const ranked = rankLayers(inspection);
  const effect = (title: string, each: Effect) =>
    `${title} rounded: ${each.sqnr.toFixed(1)} dB${each.otherAnswers ? `, ${inAnswers(each, pictures)}` : ''}`;
  const parts = [
    [
      `sensitivity on ${pictures} pictures, of the outputs against float`,
      effect('all', all),
      effect('weights alone', weights),
      effect('activations alone', activations),
    ].join('\n'),
  ];
  if (verbose > 0) parts.push(sensitivityTable(verbose > 1 ? ranked : ranked.slice(0, RANKED), table));
  const chosen = worthChanging(ranked);
  const share = chosen.reduce((sum, each) => sum + each.share, 0);
  if (chosen.length > 0) {
    parts.push(
      `${Math.round(100 * share)} % of the noise is of these; to leave them more exact, paste into a recipe:\n${recipeText(chosen)}`,
    );
  }
  return parts.join('\n\n');
}

function sensitivityTable(ranked: readonly RankedLayer[], table: TableWriter): string {
  const flips = ({ otherAnswers }: Effect) => (otherAnswers ? otherAnswers.length : '');
  return table(
    [' ', 'layer', 'what', ' noise', ' alone dB', ' flips', ' up to it dB', ' flips', 'instead'],
    ranked.map((layer, index) => [
      index + 1,
      layer.name,
      inParts(layer),
      `${(100 * layer.share).toFixed(1)} %`,
      layer.isolated.sqnr.toFixed(1),
      flips(layer.isolated),
      layer.cumulative.sqnr.toFixed(1),
      flips(layer.cumulative),
      inCosts(layer),
    ]),
  );
}
