import { resolveAxis } from '../attributes.ts';
import { around } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator, isFloats } from './operator.ts';
import { int } from './signature.ts';

/** Divides by the L1 or L2 norm along an axis; zeros stay zeros. */
export const lpNormalization = defineOperator({
  op: 'LpNormalization',
  inputs: [1, 1],
  attributes: { axis: int(-1), p: int(2) },
  role: 'none',
  shape: sameShape,
  /** The norm in float64, from first to last, one division, rounded once. */
  evaluate({ node, inputs: [x], shape }) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    const p = this.number(node, 'p');
    if (!isFloats(x) || axis === undefined || (p !== 1 && p !== 2)) return undefined;
    const [outer, length, inner] = around(shape, axis);
    const data = new Float32Array(x.data.length);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const first = o * length * inner + i;
        let sum = 0;
        for (let at = 0; at < length; at++) {
          const value = x.data[first + at * inner];
          sum += p === 1 ? Math.abs(value) : value * value;
        }
        const norm = p === 1 ? sum : Math.sqrt(sum);
        for (let at = first; at < first + length * inner; at += inner)
          data[at] = norm === 0 ? 0 : x.data[at] / norm;
      }
    }
    return { dtype: 'float32', shape, data };
  },
});
