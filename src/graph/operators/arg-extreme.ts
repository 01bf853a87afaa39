/** Rows of ArgMax and ArgMin. */
import { resolveAxis } from '../attributes.ts';
import { around, sizeOf } from './dense.ts';
import { defineOperator, type OnnxOperator } from './operator.ts';
import { int, since } from './signature.ts';

/** The place along an axis of the element that no other `exceeds`; of several, the first or the last. */
export function argOperator(
  op: string,
  exceeds: (x: number | bigint, best: number | bigint) => boolean,
): OnnxOperator {
  return defineOperator<string>({
    op,
    inputs: [1, 1],
    attributes: { axis: int(0), keepdims: int(1), select_last_index: since(12, int(0)) },
    role: 'computes',
    shape({ shape }, _, node) {
      const axis = resolveAxis(this.number(node, 'axis'), shape.length);
      if (axis === undefined) return `axis is outside a tensor of shape [${shape}]`;
      const keeps = this.number(node, 'keepdims') !== 0;
      return { dtype: 'int64', shape: keeps ? shape.with(axis, 1) : shape.toSpliced(axis, 1) };
    },
    evaluate({ node, inputs: [x], shape }) {
      const axis = x && resolveAxis(this.number(node, 'axis'), x.shape.length);
      if (!x || axis === undefined || (x.shape[axis] === 0 && sizeOf(shape) > 0)) return undefined;
      const isLast = this.number(node, 'select_last_index') !== 0;
      const [outer, length, inner] = around(x.shape, axis);
      const data = new BigInt64Array(outer * inner);
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          const first = o * length * inner + i;
          let best = 0;
          for (let at = 1; at < length; at++) {
            const [value, so] = [x.data[first + at * inner], x.data[first + best * inner]];
            if (exceeds(value, so) || (isLast && value === so)) best = at;
          }
          data[o * inner + i] = BigInt(best);
        }
      }
      return { dtype: 'int64', shape, data };
    },
  });
}
