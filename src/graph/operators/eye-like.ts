import { isBig, sizeOf, zeros } from './dense.ts';
import { dtypeAttribute } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';

export const eyeLike = defineOperator({
  op: 'EyeLike',
  since: 9,
  inputs: [1, 1],
  attributes: { dtype: int(), k: int(0) },
  role: 'none',
  shape: ({ dtype, shape }, _, node) =>
    shape.length === 2
      ? { dtype: dtypeAttribute(node, 'dtype') ?? dtype, shape }
      : `needs a matrix, has shape [${shape}]`,
  evaluate({ node, dtype, shape }) {
    const [rows, columns] = shape;
    const k = this.number(node, 'k');
    const data = zeros(dtype, sizeOf(shape));
    for (let row = 0; row < rows; row++) {
      const column = row + k;
      if (column >= 0 && column < columns) data[row * columns + column] = isBig(data) ? 1n : 1;
    }
    return { dtype, shape, data };
  },
});
