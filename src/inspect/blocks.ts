/** Nodes in groups, so that a graph of hundreds has a picture of a dozen boxes: by the modules that exporters name nodes after, else by the size of images. */
import type { InspectedNode } from './inspect.ts';

export interface Block {
  readonly name: string;
  /** Indices into `Inspection.nodes`, in order. */
  readonly nodes: readonly number[];
}

/** Fewer blocks than this tell nothing. */
const FEWEST = 3;
/** Part of the nodes that one block may have at most. */
const LARGEST = 0.4;

/** @returns empty where the nodes fall into no blocks worth a picture */
export function findBlocks(nodes: readonly InspectedNode[]): readonly Block[] {
  // "/blocks/blocks.6/conv2/Conv" is the Conv of module blocks → blocks.6 → conv2.
  const scopes = nodes.map(({ name }) => name.split('/').filter(Boolean).slice(0, -1));
  const deepest = scopes.reduce((most, { length }) => Math.max(most, length), 0);
  for (let depth = 1; depth <= deepest; depth++) {
    const blocks = grouped(
      nodes,
      nodes.map(({ name }, index) => scopes[index].slice(0, depth).join('/') || name),
    );
    if (isUseful(blocks, nodes.length)) return blocks;
  }
  const blocks = grouped(nodes, bySize(nodes));
  return isUseful(blocks, nodes.length) ? blocks : [];
}

function isUseful(blocks: readonly Block[], count: number): boolean {
  const largest = Math.max(0, ...blocks.map((block) => block.nodes.length));
  return blocks.length >= FEWEST && blocks.length <= count / 2 && largest <= LARGEST * count;
}

/** Nodes one after the other whose results are images of one size. */
function bySize(nodes: readonly InspectedNode[]): readonly string[] {
  const sizeOf = ({ shape }: InspectedNode) => shape.slice(2).join('×') || 'vectors';
  let [last, run] = ['', 0];
  const runs = new Map<string, number>();
  return nodes.map((node) => {
    const size = sizeOf(node);
    if (size !== last) {
      run = (runs.get(size) ?? 0) + 1;
      runs.set(size, run);
      last = size;
    }
    return run > 1 ? `${size} (${run})` : size;
  });
}

function grouped(nodes: readonly InspectedNode[], keys: readonly string[]): readonly Block[] {
  const sizes = new Map<string, number>();
  for (const key of keys) sizes.set(key, (sizes.get(key) ?? 0) + 1);
  const places = new Map(nodes.map(({ name }, index) => [name, index]));
  const keyOf = new Map<string, string>();
  const blocks = new Map<string, number[]>();
  for (const [index, node] of nodes.entries()) {
    const last = node.reads.reduce((latest, name) => Math.max(latest, places.get(name) ?? -1), -1);
    const before = last < 0 ? undefined : keyOf.get(nodes[last].name);
    // A lone addition or activation belongs to the latest that it reads.
    const joins = sizes.get(keys[index]) === 1 && node.macs === 0 && before !== undefined;
    const key = joins ? before : keys[index];
    keyOf.set(node.name, key);
    const block = blocks.get(key);
    if (block) block.push(index);
    else blocks.set(key, [index]);
  }
  return [...blocks].map(([name, members]) => ({ name, nodes: members }));
}
