import type { Graph, Node } from '../graph.ts';
import { removeAliases } from '../rewrite.ts';

/** Drops Identity and Dropout (which does nothing in inference), Concat of one, and pads of nothing. */
export function removeIdentities(graph: Graph): Graph {
  const aliases = new Map<string, string>();
  for (const node of graph.nodes) {
    if (isIdentity(graph, node)) aliases.set(node.outputs[0], node.inputs[0]);
  }
  return removeAliases(graph, aliases);
}

function isIdentity(graph: Graph, node: Node): boolean {
  switch (node.op) {
    case 'Identity':
    case 'Dropout':
      return true;
    case 'Concat':
      return node.inputs.length === 1;
    case 'Pad':
      return graph.constants.get(node.inputs[1] ?? '')?.data.every((pad) => Number(pad) === 0) ?? false;
    default:
      return false;
  }
}
