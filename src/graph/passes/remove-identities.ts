import type { Graph, Node } from '../graph.ts';
import { concat } from '../operators/concat.ts';
import { dropout } from '../operators/dropout.ts';
import { identity } from '../operators/identity.ts';
import { pad } from '../operators/pad.ts';
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
  if (identity.is(node) || dropout.is(node)) return true;
  if (concat.is(node)) return node.inputs.length === 1;
  if (!pad.is(node)) return false;
  return graph.constants.get(node.inputs[1] ?? '')?.data.every((size) => Number(size) === 0) ?? false;
}
