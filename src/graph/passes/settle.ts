import type { Graph } from '../graph.ts';
import { inferShapes } from '../infer-shapes.ts';
import type { Problems } from '../problems.ts';
import { foldConstants, foldingBudget } from './fold-constants.ts';

/** Infers shapes and folds constants in turn, since pads and target shapes may be computed from shapes. */
export function settle(graph: Graph, problems: Problems): Graph {
  let current = inferShapes(graph, problems);
  const budget = foldingBudget(graph);
  // Most exporters need two or three turns; masks of shifted windows, which are filled part by part, one for each part.
  for (let turn = 0; turn < 32; turn++) {
    const folded = foldConstants(current, budget);
    if (folded === current) break;
    current = inferShapes(folded, problems);
  }
  return current;
}
