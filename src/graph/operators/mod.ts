import { broadcastAll, broadcastTo, isBig, shapes } from './dense.ts';
import { defineOperator } from './operator.ts';
import { int } from './signature.ts';
import { mapIntegers } from './truth.ts';

/** The remainder, with the divisor's sign (Python's %), or the dividend's where `fmod` is 1 (C's). */
export const mod = defineOperator({
  op: 'Mod',
  since: 10,
  inputs: [2, 2],
  attributes: { fmod: int(0) },
  role: 'none',
  shape: (x, rest) =>
    broadcastAll([x, ...rest]) ?? `shapes ${shapes([x, ...rest])} cannot be broadcast together`,
  evaluate({ node, inputs: [a, b], dtype, shape }) {
    if (!a || a.dtype !== b?.dtype) return undefined;
    const isC = this.number(node, 'fmod') !== 0;
    const [left, right] = [broadcastTo(a, shape), broadcastTo(b, shape)];
    if (left instanceof Float32Array || left instanceof Float64Array) {
      const by = right as Float64Array;
      return { dtype, shape, data: left.map((x, i) => (isC ? x % by[i] : pythonRemainder(x, by[i]))) };
    }
    const isZero = (x: number | bigint) => x === 0 || x === 0n;
    if ((isBig(right) ? Array.from(right) : Array.from(right)).some(isZero)) return undefined;
    const data = mapIntegers(left, (x, i) => {
      const y = BigInt(right[i]);
      const rest = x % y;
      return isC || rest === 0n || rest < 0n === y < 0n ? rest : rest + y;
    });
    return { dtype, shape, data };
  },
});

function pythonRemainder(x: number, y: number): number {
  const rest = x % y;
  if (rest === 0) return y < 0 ? -0 : 0;
  return rest < 0 === y < 0 ? rest : rest + y;
}
