/** Two models side by side, layer by layer: what another recipe or another version changed, and what that costs. */
import type { Inspection, InspectedNode, NodeStage } from './inspect.ts';
import { inBytes, inMilliseconds, ownOperation } from './text.ts';

/** What is compared of a layer. */
export interface LayerFigures {
  readonly stage: NodeStage;
  /** Null on the host, and where the layer is part of another's operation. */
  readonly kernel: string | null;
  readonly weightBits: number | null;
  /** Of its weights in a file. */
  readonly weightBytes: number | null;
  /** Checksum of the integer weights and biases. */
  readonly checksum: string | null;
  readonly scale: number | null;
  readonly zeroPoint: number | null;
  /** Of weights and tables. */
  readonly constantBytes: number;
  /** Moved for the batch. */
  readonly bytes: number;
  /** Measured where somebody measured, else expected. */
  readonly ms: number;
  /** On pictures; null without. */
  readonly sqnr: number | null;
}

export interface LayerDiff {
  /** Of the node, in both models. */
  readonly name: string;
  readonly op: string;
  /** Null where the model has no such node. */
  readonly before: LayerFigures | null;
  readonly after: LayerFigures | null;
  /** Figures that are not the same; all where one model lacks the node. */
  readonly differs: readonly (keyof LayerFigures)[];
}

/** Plain data: `octet diff --json`. */
export interface ModelDiff {
  /** Version of this form. */
  readonly diff: 1;
  readonly before: Inspection;
  readonly after: Inspection;
  /** Nodes that do work of their own in either model, in the order of the second, then those that only the first has. */
  readonly layers: readonly LayerDiff[];
}

/** Nodes are the same by name, or else by the name of the value that they compute. */
export function diffLayers(before: Inspection, after: Inspection): readonly LayerDiff[] {
  const byName = new Map(before.nodes.map((node) => [node.name, node]));
  const byValue = new Map(before.nodes.map((node) => [node.value, node]));
  const found = new Set<InspectedNode>();
  const pairs: [InspectedNode | undefined, InspectedNode | undefined][] = after.nodes.map((node) => {
    const same = byName.get(node.name) ?? byValue.get(node.value);
    if (same) found.add(same);
    return [same, node];
  });
  for (const node of before.nodes) if (!found.has(node)) pairs.push([node, undefined]);
  return pairs.flatMap(([one, other]) => {
    const node = (other ?? one)!;
    const [a, b] = [one && figuresOf(before, one), other && figuresOf(after, other)];
    if (!a?.own && !b?.own && a?.figures.stage === b?.figures.stage) return [];
    const [x, y] = [a?.figures ?? null, b?.figures ?? null];
    const keys = Object.keys((x ?? y)!) as (keyof LayerFigures)[];
    return [
      {
        name: node.name,
        op: node.op,
        before: x,
        after: y,
        differs: keys.filter((key) => x?.[key] !== y?.[key]),
      },
    ];
  });
}

function figuresOf(
  inspection: Inspection,
  node: InspectedNode,
): { readonly own: boolean; readonly figures: LayerFigures } {
  const operation = ownOperation(inspection, node);
  const values = inspection.accuracy?.values ?? [];
  const accuracy =
    values.find(({ name }) => name === node.value) ??
    values.find(({ name }) => name === operation?.output.name);
  return {
    own: operation !== undefined,
    figures: {
      stage: node.stage,
      kernel: operation?.kernel ?? null,
      weightBits: operation?.weightBits ?? null,
      weightBytes: operation?.weightBytes ?? null,
      checksum: operation?.checksum ?? null,
      scale: operation?.output.scale ?? null,
      zeroPoint: operation?.output.zeroPoint ?? null,
      constantBytes: operation?.constantBytes ?? 0,
      bytes: operation?.bytes ?? 0,
      ms: operation?.measuredMs ?? operation?.expected.ms ?? 0,
      sqnr: accuracy?.sqnr ?? null,
    },
  };
}

/** What people call the figures. */
export const figureTitles: Readonly<Record<keyof LayerFigures, string>> = {
  stage: 'runs on',
  kernel: 'kernel',
  weightBits: 'weight bits',
  weightBytes: 'in the file',
  checksum: 'weights',
  scale: 'scale',
  zeroPoint: 'zero point',
  constantBytes: 'constants',
  bytes: 'moved',
  ms: 'time',
  sqnr: 'SQNR',
};

/** A figure in words; a dash where there is none. */
export function figureText(key: keyof LayerFigures, figures: LayerFigures | null): string {
  const value = figures?.[key];
  if (value === null || value === undefined) return '–';
  if (typeof value === 'string') return value;
  switch (key) {
    case 'scale':
      return value.toPrecision(4);
    case 'weightBytes':
    case 'constantBytes':
    case 'bytes':
      return inBytes(value);
    case 'ms':
      return inMilliseconds(value);
    case 'sqnr':
      return `${value.toFixed(1)} dB`;
    case 'stage':
    case 'kernel':
    case 'checksum':
    case 'weightBits':
    case 'zeroPoint':
      return String(value);
  }
}
