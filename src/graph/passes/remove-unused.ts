import type { Graph, Node } from '../graph.ts';

/** Drops nodes whose results nobody reads, and constants and declared values that are left without readers. */
export function removeUnused(graph: Graph): Graph {
  const used = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => used.has(name))) continue;
    nodes.push(node);
    for (const name of node.inputs) used.add(name);
  }
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  return {
    ...graph,
    nodes: nodes.reverse(),
    constants: new Map([...graph.constants].filter(([name]) => used.has(name))),
    values: new Map([...graph.values].filter(([name]) => used.has(name) || inputs.has(name))),
  };
}
