import { pow } from '../../numerics/elementary.ts';
import { evaluatePool, poolShape, poolWindow } from './images.ts';
import { defineOperator } from './operator.ts';
import { int, ints, since } from './signature.ts';

export const lpPool = defineOperator({
  op: 'LpPool',
  inputs: [1, 1],
  attributes: { ...poolWindow, ceil_mode: since(18, int(0)), dilations: since(18, ints()), p: int(2) },
  role: 'none',
  shape: poolShape,
  /** The p-norm of each window in float64, in order of rows and columns, rounded once. */
  evaluate(call) {
    const p = this.number(call.node, 'p');
    return evaluatePool(call, (taps) => normOf(taps, p));
  },
});

/** (Σ |x|^p)^(1/p) */
export function normOf(elements: Float32Array, p: number): number {
  const sum = elements.reduce((total, x) => total + (p === 2 ? x * x : pow(Math.abs(x), p)), 0);
  return p === 2 ? Math.sqrt(sum) : pow(sum, 1 / p);
}
