import { sameShape } from './elementwise.ts';
import { defineOperator } from './operator.ts';
import { mapIntegers } from './truth.ts';

export const bitwiseNot = defineOperator({
  op: 'BitwiseNot',
  since: 18,
  inputs: [1, 1],
  role: 'none',
  shape: sameShape,
  evaluate({ inputs: [x], dtype, shape }) {
    if (!x || x.data instanceof Float32Array || x.data instanceof Float64Array) return undefined;
    return { dtype, shape, data: mapIntegers(x.data, (value) => ~value) };
  },
});
