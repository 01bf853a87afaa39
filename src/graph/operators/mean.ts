import { broadcastAll, broadcastTo, shapes, sizeOf } from './dense.ts';
import { defineOperator, isFloats } from './operator.ts';

export const mean = defineOperator({
  op: 'Mean',
  inputs: [1, Infinity],
  role: 'none',
  shape: (x, rest) =>
    broadcastAll([x, ...rest]) ?? `shapes ${shapes([x, ...rest])} cannot be broadcast together`,
  /** The sum in float64, from the first input on, divided and rounded once. */
  evaluate({ inputs, shape }) {
    if (!inputs.every(isFloats)) return undefined;
    const sums = new Float64Array(sizeOf(shape));
    for (const input of inputs) {
      const data = broadcastTo(input, shape);
      for (let i = 0; i < sums.length; i++) sums[i] += Number(data[i]);
    }
    return { dtype: 'float32', shape, data: Float32Array.from(sums, (total) => total / inputs.length) };
  },
});
