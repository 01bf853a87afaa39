import type { Dimension } from '../graph.ts';
import { predicateOperator } from './truth.ts';

export const equal = predicateOperator('Equal', (a, b) => a === b, {
  /** Exporters ask which sizes are -1. */
  sizes(node, context) {
    const [a, b] = node.inputs.map((input) => context.elements(input));
    if (!a || !b) return undefined;
    const length = Math.max(a.length, b.length);
    const at = (list: typeof a, i: number) => list[list.length === 1 ? 0 : i];
    const results = Array.from({ length }, (_, i) => same(at(a, i), at(b, i)));
    return results.every((result) => result !== undefined) ? results : undefined;
  },
});

/** Whether two sizes are equal; undefined where that depends on one that is not known. */
function same(a: Dimension, b: Dimension): 0 | 1 | undefined {
  if (a === b) return 1;
  const numbers = [a, b].filter((size) => typeof size === 'number');
  return numbers.length === 2 || numbers.some((size) => size < 0) ? 0 : undefined;
}
