import { coordinatesOf } from './dense.ts';
import { defineOperator } from './operator.ts';

/** Coordinates of all elements that are not zero: [rank, how many]. */
export const nonZero = defineOperator({
  op: 'NonZero',
  since: 9,
  inputs: [1, 1],
  role: 'none',
  hasDynamicShape: true,
  shape: ({ shape }, _, node) => ({ dtype: 'int64', shape: [shape.length, `${node.outputs[0]}.1`] }),
  evaluate({ inputs: [x] }) {
    if (!x) return undefined;
    const found: number[][] = [];
    for (let i = 0; i < x.data.length; i++) if (x.data[i]) found.push(coordinatesOf(i, x.shape));
    const data = x.shape.flatMap((_, axis) => found.map((coordinates) => BigInt(coordinates[axis])));
    return { dtype: 'int64', shape: [x.shape.length, found.length], data: BigInt64Array.from(data) };
  },
});
