import type { Graph } from '../graph.ts';
import { inferShapes } from '../infer-shapes.ts';
import { operatorOf } from '../operators/registry.ts';
import type { Problems } from '../problems.ts';
import { foldConstants, foldingBudget } from './fold-constants.ts';

/** Infers shapes and folds constants in turn, since pads, target shapes and conditions may be computed from shapes. */
export function settle(graph: Graph, problems: Problems): Graph {
  let current = inferShapes(graph, problems);
  const budget = foldingBudget(graph);
  // Most exporters need two or three turns; masks of shifted windows, which are filled part by part, one for each part.
  for (let turn = 0; turn < 32; turn++) {
    const folded = expand(foldConstants(current, budget));
    if (folded === current) break;
    current = inferShapes(folded, problems);
  }
  return current;
}

/** Nodes that stand for others, now that constants tell which. */
function expand(graph: Graph): Graph {
  const expanded = graph.nodes.map((node) => operatorOf(graph, node)?.expand?.(node, graph));
  if (expanded.every((nodes) => !nodes)) return graph;
  return { ...graph, nodes: graph.nodes.flatMap((node, i) => expanded[i] ?? [node]) };
}
