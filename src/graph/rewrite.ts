/** What passes share: fresh names, and copies of a graph with parts replaced. */
import type { Graph, Node } from './graph.ts';

/** Names that are taken, and new ones beside them. */
export class Names {
  readonly #taken: Set<string>;
  /** Suffixes to try next, so that a name that many ask for is not searched from the start each time. */
  readonly #suffixes = new Map<string, number>();

  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  add(name: string): void {
    this.#taken.add(name);
  }

  /** `wanted`, or with a number behind where that is taken; the result is then taken. */
  fresh(wanted: string): string {
    let name = wanted;
    let suffix = this.#suffixes.get(wanted) ?? 1;
    while (this.#taken.has(name)) name = `${wanted}_${suffix++}`;
    this.#suffixes.set(wanted, suffix);
    this.#taken.add(name);
    return name;
  }
}

/** Names of all values and constants. */
export function valueNames(graph: Graph): Names {
  return new Names([
    ...graph.inputs.map(({ name }) => name),
    ...graph.constants.keys(),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
}

/**
 * Removes the nodes `aliases` names by their output: readers of the output read the value it maps to. Where the output is
 * the graph's and the value is not, the value takes the output's name instead, so that graph outputs keep their names.
 */
export function removeAliases(graph: Graph, aliases: ReadonlyMap<string, string>): Graph {
  if (aliases.size === 0) return graph;
  // In node order, so that what an alias stands for is resolved already.
  const sources = new Map<string, string>();
  for (const { outputs } of graph.nodes) {
    const target = aliases.get(outputs[0]);
    if (target !== undefined) sources.set(outputs[0], sources.get(target) ?? target);
  }
  const resolve = (name: string): string => sources.get(name) ?? name;
  const renamed = new Map<string, string>();
  const rename = (name: string): string => {
    const source = resolve(name);
    return renamed.get(source) ?? source;
  };
  const fixed = new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.constants.keys(),
    ...graph.outputs.map(({ name }) => name),
  ]);
  const kept = new Set<string>();
  for (const { name } of graph.outputs) {
    if (!aliases.has(name)) continue;
    const source = resolve(name);
    // An input or another output cannot take this name: the node that copies it stays.
    if (fixed.has(source) || renamed.has(source)) kept.add(name);
    else renamed.set(source, name);
  }
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const output = node.outputs[0];
    if (aliases.has(output) && !kept.has(output)) continue;
    nodes.push({
      ...node,
      inputs: node.inputs.map((name) => (name === '' ? '' : rename(name))),
      outputs: node.outputs.map((name) => renamed.get(name) ?? name),
    });
  }
  return { ...graph, nodes };
}
