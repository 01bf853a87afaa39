import { broadcastAll, broadcastTo, shapes } from './dense.ts';
import { defineOperator } from './operator.ts';
import { required, string } from './signature.ts';
import { mapIntegers } from './truth.ts';

/** Shifts of integers; what leaves the type is lost. To the right, negative ones are filled up with ones. */
export const bitShift = defineOperator({
  op: 'BitShift',
  since: 11,
  inputs: [2, 2],
  attributes: { direction: required(string()) },
  role: 'none',
  shape: (x, rest) =>
    broadcastAll([x, ...rest]) ?? `shapes ${shapes([x, ...rest])} cannot be broadcast together`,
  evaluate({ node, inputs: [a, b], dtype, shape }) {
    if (!a || a.dtype !== b?.dtype || !dtype.includes('int')) return undefined;
    const left = node.attributes.direction === 'LEFT';
    const by = broadcastTo(b, shape);
    // Nothing is left of a shift by the width or more, as which a negative one counts.
    const bits = (i: number) => BigInt(by[i] < 0 ? 64 : Math.min(Number(by[i]), 64));
    const data = mapIntegers(broadcastTo(a, shape), (x, i) => (left ? x << bits(i) : x >> bits(i)));
    return { dtype, shape, data };
  },
});
