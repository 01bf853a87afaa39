/** What a report is made of, and what its views show of it. */
import type { ValueAccuracy } from '../accuracy.ts';
import type { Block } from '../blocks.ts';
import type { LayerDiff } from '../diff.ts';
import type { Inspection, InspectedNode, InspectedOperation } from '../inspect.ts';
import type { LayerEffect } from '../sensitivity.ts';
import { inBytes, inMilliseconds, ownOperation } from '../text.ts';

export interface ReportData {
  readonly inspection: Inspection;
  /** SVG of the graph of nodes, and of that of operations; null where the model cannot run. */
  readonly nodes: string;
  readonly operations: string | null;
  /** Of nodes grouped in blocks, and of the inside of each; null where there are no blocks. */
  readonly blocks: {
    readonly picture: string;
    readonly list: readonly Block[];
    readonly inside: readonly string[];
  } | null;
  /** The kernels' texts, one an operation, as gzipped JSON in base64: they are alike, and looked at one by one. */
  readonly kernels: string | null;
  /** Pictures that accuracy was measured on, by position, as addresses of images. */
  readonly pictures: readonly ReportPicture[];
  /** What the report compares with. */
  readonly diff: { readonly before: Inspection; readonly layers: readonly LayerDiff[] } | null;
}

export interface ReportPicture {
  readonly name: string;
  /** An address that holds the image itself: data:image/png;base64,… */
  readonly src: string;
}

/** One box of the graph: a node with the operation whose figures are its own, an operation with the node it came from, or a block. */
export interface Item {
  readonly title: string;
  readonly kind: string;
  readonly node: InspectedNode | undefined;
  readonly operation: InspectedOperation | undefined;
  readonly accuracy: ValueAccuracy | undefined;
  readonly effects: readonly LayerEffect[];
  readonly diff: LayerDiff | undefined;
  /** Of a block: its nodes. */
  readonly members: readonly Item[];
}

export const timeOf = ({ measuredMs, expected }: InspectedOperation): number => measuredMs ?? expected.ms;

export function nodeItems({ inspection, diff }: ReportData): readonly Item[] {
  const values = new Map(inspection.accuracy?.values.map((value) => [value.name, value]));
  const changes = new Map(diff?.layers.map((layer) => [layer.name, layer]));
  return inspection.nodes.map((node): Item => {
    const operation = ownOperation(inspection, node);
    return {
      title: node.name,
      kind: node.op,
      node,
      operation,
      accuracy: values.get(node.value) ?? values.get(operation?.output.name ?? ''),
      effects: inspection.sensitivity?.layers.filter((layer) => layer.node === node.name) ?? [],
      diff: changes.get(node.name),
      members: [],
    };
  });
}

export function operationItems(data: ReportData): readonly Item[] {
  const byName = new Map(nodeItems(data).map((item) => [item.title, item]));
  const values = new Map(data.inspection.accuracy?.values.map((value) => [value.name, value]));
  return data.inspection.operations.map((operation): Item => {
    const item = byName.get(operation.name);
    return {
      title: operation.name,
      kind: operation.kind,
      node: item?.node,
      operation,
      accuracy: values.get(operation.output.name),
      effects: item?.effects ?? [],
      diff: item?.diff,
      members: [],
    };
  });
}

export function blockItems({ blocks }: ReportData, nodes: readonly Item[]): readonly Item[] {
  return (blocks?.list ?? []).map((block): Item => {
    const members = block.nodes.map((index) => nodes[index]);
    return {
      title: block.name,
      kind: `${members.length} ${members.length === 1 ? 'node' : 'nodes'}`,
      ...{ node: undefined, operation: undefined, accuracy: undefined, diff: undefined },
      effects: [],
      members,
    };
  });
}

/** What boxes can be coloured by; undefined: the box has no such figure. */
export interface Scale {
  readonly title: string;
  readonly of: (item: Item) => number | undefined;
  /** What a block's figure is made of its nodes'. */
  readonly joined: 'sum' | 'least';
  readonly format: (value: number) => string;
  /** Whether small values are the remarkable ones. */
  readonly lowIsBad?: true;
  /** Whether steps are factors. */
  readonly logarithmic?: true;
}

const inCount = (value: number) => value.toLocaleString('en');

export const SCALES: Readonly<Record<string, Scale>> = {
  time: {
    title: 'time',
    of: ({ operation }) => operation && timeOf(operation),
    joined: 'sum',
    format: inMilliseconds,
    logarithmic: true,
  },
  sqnr: {
    title: 'SQNR',
    of: ({ accuracy }) => accuracy?.sqnr,
    joined: 'least',
    format: (value) => `${value.toFixed(1)} dB`,
    lowIsBad: true,
  },
  noise: {
    title: 'part of the noise',
    of: ({ effects }) =>
      effects.length > 0 ? effects.reduce((sum, { share }) => sum + share, 0) : undefined,
    joined: 'sum',
    format: (value) => `${(100 * value).toFixed(1)} %`,
  },
  flips: {
    title: 'answers flipped',
    of: ({ effects }) => {
      const flipped = effects.flatMap(({ isolated }) => isolated.otherAnswers ?? []);
      return effects.some(({ isolated }) => isolated.otherAnswers) ? new Set(flipped).size : undefined;
    },
    joined: 'sum',
    format: inCount,
  },
  bytes: {
    title: 'bytes moved',
    of: ({ operation }) => operation?.bytes,
    joined: 'sum',
    format: inBytes,
    logarithmic: true,
  },
  macs: {
    title: 'multiply-adds',
    of: ({ operation }) => (operation && operation.macs > 0 ? operation.macs : undefined),
    joined: 'sum',
    format: inCount,
    logarithmic: true,
  },
  bits: {
    title: 'weight bits',
    of: ({ operation }) => operation?.weightBits ?? undefined,
    joined: 'least',
    format: (value) => `${value} bits`,
    lowIsBad: true,
  },
  changes: {
    title: 'what changed',
    of: ({ diff }) => diff?.differs.length,
    joined: 'sum',
    format: (value) => `${value} ${value === 1 ? 'figure' : 'figures'}`,
  },
};

/** A scale's figure of an item, of a block over its nodes. */
export function figureOf(scale: Scale, item: Item): number | undefined {
  if (item.members.length === 0) return scale.of(item);
  const known = item.members.map((member) => scale.of(member)).filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  return scale.joined === 'least' ? Math.min(...known) : known.reduce((sum, value) => sum + value, 0);
}
