/** The graph as a picture: DOT text, and Graphviz's layout of it. Graphviz is loaded on the first call. */
import type { Graphviz } from '@hpcc-js/wasm-graphviz';
import { check, oneOf } from '../arguments.ts';
import type { Block } from './blocks.ts';
import type { InspectedNode, Inspection, NodeStage } from './inspect.ts';
import { anInspection } from './schema.ts';

/** Nodes as the file has them, or operations as they run. */
export type PictureOf = 'nodes' | 'operations';

const fills = {
  device: '#cfe4ff',
  host: '#ffd9b0',
  none: '#eceff3',
  refused: '#ffc9c9',
  input: '#ffffff',
} as const;

/**
 * The graph in Graphviz's language. Node `i` of the picture has the id `node-i`, inputs have `input-i`.
 *
 * @throws {InputError} no inspection
 */
export function toDot(inspection: Inspection, of: PictureOf = 'nodes'): string {
  check('toDot', { inspection: anInspection, of: oneOf('nodes', 'operations') }, { inspection, of });
  return of === 'nodes' ? nodesDot(inspection) : operationsDot(inspection);
}

function nodesDot({ model, nodes }: Inspection): string {
  const ids = new Map<string, string>(nodes.map(({ name }, index) => [name, `node-${index}`]));
  const inputs = model.inputs.map(({ name, shape }, index) => {
    if (!ids.has(name)) ids.set(name, `input-${index}`);
    return box(`input-${index}`, 'input', [name, shape.join('×')]);
  });
  const boxes = nodes.map(({ name, op, shape, stage }, index) =>
    box(`node-${index}`, stage, [op, shortened(name), shape.join('×')]),
  );
  const edges = nodes.flatMap(({ reads }, index) =>
    reads.flatMap((name) => {
      const from = ids.get(name);
      return from ? [`  "${from}" -> "node-${index}"`] : [];
    }),
  );
  return digraph(model.name, [...inputs, ...boxes, ...edges]);
}

/**
 * The graph of blocks: block `i` has the id `node-${i}`.
 *
 * @param blocks as `findBlocks` gives them
 */
export function blocksDot({ model, nodes }: Inspection, blocks: readonly Block[]): string {
  const blockOf = new Map(
    blocks.flatMap((block, index) => block.nodes.map((node) => [nodes[node].name, index] as const)),
  );
  const ids = new Map<string, string>([...blockOf].map(([name, index]) => [name, `node-${index}`]));
  const inputs = model.inputs.map(({ name, shape }, index) => {
    if (!ids.has(name)) ids.set(name, `input-${index}`);
    return box(`input-${index}`, 'input', [name, shape.join('×')]);
  });
  const boxes = blocks.map((block, index) => {
    const members = block.nodes.map((node) => nodes[node]);
    const count = `${members.length} ${members.length === 1 ? 'node' : 'nodes'}`;
    return box(`node-${index}`, stageOf(members), [
      shortened(block.name),
      count,
      members[members.length - 1].shape.join('×'),
    ]);
  });
  const edges = new Set(
    blocks.flatMap((block, index) =>
      block.nodes.flatMap((node) =>
        nodes[node].reads.flatMap((name) => {
          const from = ids.get(name);
          return from && from !== `node-${index}` ? [`  "${from}" -> "node-${index}"`] : [];
        }),
      ),
    ),
  );
  return digraph(model.name, [...inputs, ...boxes, ...edges]);
}

/** The nodes of one block, with the ids that they have in the graph of all, and what the block reads. */
export function blockDot({ model, nodes }: Inspection, block: Block): string {
  const ids = new Map(block.nodes.map((node) => [nodes[node].name, `node-${node}`]));
  const sources = [...new Set(block.nodes.flatMap((node) => nodes[node].reads))].filter(
    (name) => !ids.has(name),
  );
  const inputs = sources.map((name, index) => box(`input-${index}`, 'input', [shortened(name)]));
  for (const [index, name] of sources.entries()) ids.set(name, `input-${index}`);
  const boxes = block.nodes.map((node) => {
    const { name, op, shape, stage } = nodes[node];
    return box(`node-${node}`, stage, [op, shortened(name), shape.join('×')]);
  });
  const edges = block.nodes.flatMap((node) =>
    nodes[node].reads.map((name) => `  "${ids.get(name)!}" -> "node-${node}"`),
  );
  return digraph(model.name, [...inputs, ...boxes, ...edges]);
}

/** The worst of a block: what is refused, then what runs on the host. */
function stageOf(members: readonly InspectedNode[]): NodeStage {
  const order: readonly NodeStage[] = ['refused', 'host', 'device', 'none'];
  return order.find((stage) => members.some((node) => node.stage === stage))!;
}

function operationsDot({ model, operations }: Inspection): string {
  const writers = new Map<string, string>(
    operations.map(({ output }, index) => [output.name, `node-${index}`]),
  );
  const inputs = model.inputs.map(({ name, shape }, index) => {
    writers.set(name, `input-${index}`);
    return box(`input-${index}`, 'input', [name, shape.join('×')]);
  });
  const boxes = operations.map(({ name, kind, stage, output }, index) =>
    box(`node-${index}`, stage, [kind, shortened(name), output.shape.join('×')]),
  );
  const edges = operations.flatMap(({ reads }, index) =>
    reads.flatMap((name) => {
      const from = writers.get(name);
      return from ? [`  "${from}" -> "node-${index}"`] : [];
    }),
  );
  return digraph(model.name, [...inputs, ...boxes, ...edges]);
}

function digraph(name: string, statements: readonly string[]): string {
  return [
    `digraph ${quoted(name)} {`,
    '  graph [rankdir=TB, ranksep=0.3, nodesep=0.3, bgcolor="transparent"]',
    '  node [shape=box, style="rounded,filled", color="#8894a4", fontname="Helvetica,Arial,sans-serif", fontsize=11, margin="0.14,0.06"]',
    '  edge [color="#8894a4", arrowsize=0.6]',
    ...statements,
    '}',
    '',
  ].join('\n');
}

function box(id: string, stage: keyof typeof fills, lines: readonly string[]): string {
  const label = lines.map((line) => quoted(line).slice(1, -1)).join('\\n');
  return `  ${quoted(id)} [id="${id}", class="${stage}", fillcolor="${fills[stage]}", label="${label}"]`;
}

/** A DOT string. Backslashes would be Graphviz's own escapes. */
function quoted(text: string): string {
  return `"${text
    .replace(/\\/g, '\\\\')
    .replace(/"/g, '\\"')
    .replace(/[\r\n\t]/g, ' ')}"`;
}

/** Longest name in a box; its end, since ONNX names begin alike. */
const LONGEST = 28;
const shortened = (name: string) => (name.length <= LONGEST ? name : `…${name.slice(1 - LONGEST)}`);

let graphviz: Promise<Graphviz> | undefined;

/** Lays DOT out as an SVG document. */
export async function layOut(dot: string): Promise<string> {
  graphviz ??= import('@hpcc-js/wasm-graphviz').then((module) => module.Graphviz.load());
  return (await graphviz).dot(dot, 'svg');
}

/**
 * The picture as an SVG document of its own.
 *
 * @throws {InputError} no inspection
 */
export async function inspectionSvg(inspection: Inspection, of: PictureOf = 'nodes'): Promise<string> {
  return layOut(toDot(inspection, of));
}
