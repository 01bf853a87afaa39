import { numbersIn, sizeOf, zeros } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';

/** Turns round the first elements of each sequence, as many as its length says. */
export const reverseSequence = defineOperator({
  op: 'ReverseSequence',
  since: 10,
  inputs: [2, 2],
  attributes: { batch_axis: int(1), time_axis: int(0) },
  role: 'none',
  shape: sameShape,
  evaluate({ node, inputs: [x, given], dtype, shape }) {
    const lengths = numbersIn(given);
    const batchAxis = this.number(node, 'batch_axis');
    const timeAxis = this.number(node, 'time_axis');
    if (!x || lengths?.length !== shape[batchAxis] || batchAxis + timeAxis !== 1) return undefined;
    if (lengths.some((length) => length < 0 || length > shape[timeAxis])) return undefined;
    const inner = sizeOf(shape.slice(2));
    const data = zeros(dtype, x.data.length);
    const step = (batch: number, time: number) =>
      (batchAxis === 0 ? batch * shape[1] + time : time * shape[1] + batch) * inner;
    for (const [batch, length] of lengths.entries()) {
      for (let time = 0; time < shape[timeAxis]; time++) {
        const from = step(batch, time < length ? length - 1 - time : time);
        data.set(x.data.subarray(from, from + inner) as never, step(batch, time));
      }
    }
    return { dtype, shape, data };
  },
});
