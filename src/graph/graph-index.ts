import type { Graph, Node } from './graph.ts';

/** A graph with look-ups. Made once for a graph, which never changes. */
export interface GraphIndex {
  readonly graph: Graph;
  /** Names of the graph's outputs. */
  readonly outputs: ReadonlySet<string>;
  /** Where in the graph's order the node stands. */
  position(node: Node): number;
  /** The node that computes the value, undefined for graph inputs and constants. */
  producer(value: string): Node | undefined;
  /** Nodes that read the value, in order; one that reads it twice is listed once. */
  readers(value: string): readonly Node[];
  /** The one node that reads the value, undefined where there are several or the value is an output of the graph. */
  onlyReader(value: string): Node | undefined;
}

export function indexGraph(graph: Graph): GraphIndex {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const positions = new Map(graph.nodes.map((node, position) => [node, position]));
  const producers = new Map<string, Node>();
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of node.outputs) if (name !== '') producers.set(name, node);
    for (const name of new Set(node.inputs)) {
      if (name === '') continue;
      const list = readers.get(name);
      if (list) list.push(node);
      else readers.set(name, [node]);
    }
  }
  return {
    graph,
    outputs,
    position: (node) => positions.get(node)!,
    producer: (value) => producers.get(value),
    readers: (value) => readers.get(value) ?? [],
    onlyReader(value) {
      const list = readers.get(value);
      return list?.length === 1 && !outputs.has(value) ? list[0] : undefined;
    },
  };
}
