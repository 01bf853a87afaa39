import type { Tensor } from '../graph.ts';
import { MAX_ELEMENTS } from '../limits.ts';
import { isBig, zeros } from './dense.ts';
import { defineOperator } from './operator.ts';

/** How many numbers from `start` by `delta` lie before `limit`. */
function lengthOf(start: number, limit: number, delta: number): number {
  return Math.max(0, Math.ceil((limit - start) / delta));
}

export const range = defineOperator({
  op: 'Range',
  since: 11,
  inputs: [3, 3],
  role: 'none',
  shape({ dtype }, _, node, { graph, numbers }) {
    const scalars = node.inputs.map((name) => {
      const constant: Tensor | undefined = graph.constants.get(name);
      return constant ? Number(constant.data[0]) : numbers(name)?.[0];
    });
    if (!scalars.every((scalar) => scalar !== undefined)) return undefined;
    const [start, limit, delta] = scalars;
    const length = lengthOf(start, limit, delta);
    return length <= MAX_ELEMENTS
      ? { dtype, shape: [length] }
      : `from ${start} to ${limit} by ${delta} is too long`;
  },
  /** `start + i · delta`, rounded once. */
  evaluate({ inputs: [start, , delta], dtype, shape }) {
    if (!start || !delta) return undefined;
    const data = zeros(dtype, shape[0]);
    const [first, step] = [Number(start.data[0]), Number(delta.data[0])];
    for (let i = 0; i < data.length; i++) {
      data[i] = isBig(data) ? BigInt(start.data[0]) + BigInt(i) * BigInt(delta.data[0]) : first + i * step;
    }
    return { dtype, shape, data };
  },
});
