/** Rows of CumSum and CumProd. */
import { resolveAxis } from '../attributes.ts';
import { around, isBig, zeros } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator, type OnnxOperator } from './operator.ts';
import { int } from './signature.ts';

/** Running totals along an axis, which is an input; each is rounded to the type. */
export function cumulationOperator(
  op: string,
  since: number,
  start: number,
  join: (total: number, x: number) => number,
): OnnxOperator {
  return defineOperator<string>({
    op,
    since,
    inputs: [2, 2],
    attributes: { exclusive: int(0), reverse: int(0) },
    role: 'none',
    shape: sameShape,
    along: (node, _, constant) => [constant(node.inputs[1]) ?? 0],
    evaluate({ node, inputs: [x, given], dtype, shape }) {
      const axis = given && resolveAxis(Number(given.data[0]), shape.length);
      if (!x || axis === undefined || given?.data.length !== 1) return undefined;
      const isExclusive = this.number(node, 'exclusive') !== 0;
      const isReverse = this.number(node, 'reverse') !== 0;
      const [outer, length, inner] = around(shape, axis);
      const data = zeros(dtype, x.data.length);
      const set = (at: number, value: number) => {
        data[at] = isBig(data) ? BigInt(value) : value;
      };
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          let total = start;
          for (let step = 0; step < length; step++) {
            const at = (o * length + (isReverse ? length - 1 - step : step)) * inner + i;
            const next = join(total, Number(x.data[at]));
            if (isBig(data) && !Number.isSafeInteger(next)) return undefined;
            set(at, isExclusive ? total : next);
            total = data instanceof Float32Array ? Math.fround(next) : next;
          }
        }
      }
      return { dtype, shape, data };
    },
  });
}
