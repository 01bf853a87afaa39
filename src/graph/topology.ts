import type { Graph, Node } from './graph.ts';
import type { Problems } from './problems.ts';

/**
 * `nodes` in topological order, the given order kept where it is one. Reports names defined twice (ONNX values are in
 * single assignment form), names read but never defined, and cycles.
 */
export function sortNodes(
  nodes: readonly Node[],
  inputs: Graph['inputs'],
  outputs: Graph['outputs'],
  constants: ReadonlySet<string>,
  problems: Problems,
): Node[] {
  const producers = new Map<string, Node>();
  const given = new Set(constants);
  for (const { name } of inputs) {
    if (given.has(name)) problems.add('two inputs or constants have this name', name);
    given.add(name);
  }
  for (const node of nodes) {
    for (const name of node.outputs) {
      if (name === '') continue;
      if (given.has(name) || producers.has(name)) {
        problems.node(node, `output "${name}" is defined twice`);
      } else {
        producers.set(name, node);
      }
    }
  }
  const declared = new Set<string>();
  for (const { name } of outputs) {
    if (declared.has(name)) problems.add('two outputs have this name', name);
    declared.add(name);
    if (!given.has(name) && !producers.has(name))
      problems.add('the graph output is computed by no node', name);
  }

  // Kahn's algorithm.
  const waiting = new Map<Node, number>();
  const readers = new Map<Node, Node[]>();
  for (const node of nodes) {
    const sources = new Set<Node>();
    for (const name of new Set(node.inputs)) {
      if (name === '' || given.has(name)) continue;
      const producer = producers.get(name);
      if (producer) sources.add(producer);
      else problems.node(node, `input "${name}" is neither an input, a constant, nor computed by a node`);
    }
    waiting.set(node, sources.size);
    for (const source of sources) {
      const list = readers.get(source);
      if (list) list.push(node);
      else readers.set(source, [node]);
    }
  }
  const position = new Map(nodes.map((node, index) => [node, index]));
  if (nodes.every((node) => (readers.get(node) ?? []).every((r) => position.get(r)! > position.get(node)!))) {
    return [...nodes];
  }
  const sorted: Node[] = nodes.filter((node) => waiting.get(node) === 0);
  for (let i = 0; i < sorted.length; i++) {
    for (const reader of readers.get(sorted[i]) ?? []) {
      const left = waiting.get(reader)! - 1;
      waiting.set(reader, left);
      if (left === 0) sorted.push(reader);
    }
  }
  if (sorted.length < nodes.length) {
    for (const node of nodes) {
      if (waiting.get(node)! > 0) problems.node(node, 'is part of a cycle, or reads from one');
    }
  }
  return sorted;
}
