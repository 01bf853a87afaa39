import { isBig, sizeOf } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';

/** The upper or lower triangle of matrices, zeros elsewhere. */
export const trilu = defineOperator({
  op: 'Trilu',
  since: 14,
  inputs: [1, 2],
  attributes: { upper: int(1) },
  role: 'none',
  shape: (x, ...call) =>
    x.shape.length >= 2 ? sameShape(x, ...call) : `needs matrices, has shape [${x.shape}]`,
  along: (_, rank) => [rank - 2, rank - 1],
  evaluate({ node, inputs: [x, given], dtype, shape }) {
    if (!x || (node.inputs[1] && given?.data.length !== 1)) return undefined;
    const k = Number(given?.data[0] ?? 0);
    const isUpper = this.number(node, 'upper') !== 0;
    const [rows, columns] = shape.slice(-2);
    const data = x.data.slice();
    for (let i = 0; i < sizeOf(shape); i++) {
      const over = (i % columns) - (Math.floor(i / columns) % rows);
      if (isUpper ? over < k : over > k) data[i] = isBig(data) ? 0n : 0;
    }
    return { dtype, shape, data };
  },
});
