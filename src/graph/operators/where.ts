import { broadcastAll, broadcastTo, shapes, sizeOf, zeros } from './dense.ts';
import { defineOperator } from './operator.ts';

export const where = defineOperator({
  op: 'Where',
  since: 9,
  inputs: [3, 3],
  role: 'none',
  broadcasts: true,
  shape: (condition, rest) => {
    const shape = broadcastAll([condition, ...rest]);
    return shape
      ? { dtype: rest[0]!.dtype, shape }
      : `shapes ${shapes([condition, ...rest])} cannot be broadcast together`;
  },
  sizes(node, context) {
    const [condition, x, y] = node.inputs.map((input) => context.elements(input));
    if (!condition || !x || !y) return undefined;
    const length = Math.max(condition.length, x.length, y.length);
    const at = (list: typeof x, i: number) => list[list.length === 1 ? 0 : i];
    return Array.from({ length }, (_, i) => (at(condition, i) ? at(x, i) : at(y, i)));
  },
  evaluate({ inputs: [condition, x, y], dtype, shape }) {
    if (!condition || !x || x.dtype !== y?.dtype) return undefined;
    const chosen = broadcastTo(condition, shape);
    const [yes, no] = [broadcastTo(x, shape), broadcastTo(y, shape)];
    const data = zeros(dtype, sizeOf(shape));
    for (let i = 0; i < data.length; i++) data[i] = chosen[i] ? yes[i] : no[i];
    return { dtype, shape, data };
  },
});
