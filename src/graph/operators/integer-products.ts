/** What ConvInteger and MatMulInteger share: products of 8-bit integers less their zero points, summed exactly in int32. */
import type { Value } from './operator.ts';

/** The elements of `x` less their zero points; `indexOf` says which of several is that of element `i`. Undefined for other types than 8 bits. */
export function withoutZeroPoint(
  x: Value | undefined,
  zeroPoint: Value | undefined,
  indexOf: (i: number) => number,
): Int32Array | undefined {
  if (x?.dtype !== 'int8' && x?.dtype !== 'uint8') return undefined;
  const zeros = zeroPoint && Array.from(zeroPoint.data, Number);
  if (!zeros) return Int32Array.from(x.data, Number);
  const isOne = zeros.length === 1;
  return Int32Array.from(x.data as ArrayLike<number>, (value, i) => value - zeros[isOne ? 0 : indexOf(i)]);
}
