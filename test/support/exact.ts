/** Elementary functions in BigInt fixed point, from their defining series: what src/numerics is measured against. */

/** Fraction bits of a fixed-point number; results are right to 250 or more. */
const FRACTION = 320n;
const ONE = 1n << FRACTION;

/** `value · 2^(exponent − 320)`. */
export interface Exact {
  readonly value: bigint;
  readonly exponent: bigint;
}

const fixed = (value: bigint): Exact => ({ value, exponent: 0n });
const multiply = (a: bigint, b: bigint): bigint => (a * b) >> FRACTION;
const divide = (a: bigint, b: bigint): bigint => (a << FRACTION) / b;

/** A finite float64 as `mantissa · 2^exponent`. */
function parts(x: number): { mantissa: bigint; exponent: bigint } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const word = view.getBigUint64(0);
  const biased = (word >> 52n) & 0x7ffn;
  const fraction = word & ((1n << 52n) - 1n);
  const magnitude = biased === 0n ? fraction : fraction | (1n << 52n);
  return {
    mantissa: word >> 63n ? -magnitude : magnitude,
    exponent: (biased === 0n ? 1n : biased) - 1075n,
  };
}

const shift = (value: bigint, by: bigint): bigint => (by >= 0n ? value << by : value >> -by);

function toFixed(x: number): bigint {
  const { mantissa, exponent } = parts(x);
  return shift(mantissa, exponent + FRACTION);
}

/** Sum of the terms until they vanish; `next` makes the n-th from the one before it, n from 1 on. */
function series(
  first: bigint,
  next: (term: bigint, n: bigint) => bigint,
  divisor: (n: bigint) => bigint = () => 1n,
): bigint {
  let sum = first / divisor(0n);
  for (let n = 1n, term = first; term !== 0n && term !== -1n; n++) {
    term = next(term, n);
    sum += term / divisor(n);
  }
  return sum;
}

/** ln((1 + s) / (1 − s)) = 2 · atanh(s). */
function twiceAreaTangent(s: bigint): bigint {
  const square = multiply(s, s);
  const odd = (n: bigint) => 2n * n + 1n;
  return 2n * series(s, (term) => multiply(term, square), odd);
}

const LN2 = twiceAreaTangent(ONE / 3n);

function expOfFixed(x: bigint): Exact {
  const exponent = (2n * x + LN2) / (2n * LN2) - (2n * x + LN2 < 0n ? 1n : 0n);
  const r = x - exponent * LN2;
  return { value: series(ONE, (term, n) => multiply(term, r) / n), exponent };
}

function logOfFixed(mantissa: bigint, exponent: bigint): bigint {
  const width = BigInt(mantissa.toString(2).length);
  const m = shift(mantissa, FRACTION - width);
  return twiceAreaTangent(divide(m - ONE, m + ONE)) + (exponent + width) * LN2;
}

export const exact = {
  exp: (x: number): Exact => expOfFixed(toFixed(x)),
  expm1: (x: number): Exact => {
    const { value, exponent } = expOfFixed(toFixed(x));
    return fixed(shift(value, exponent) - ONE);
  },
  log: (x: number): Exact => {
    const { mantissa, exponent } = parts(x);
    return fixed(logOfFixed(mantissa, exponent));
  },
  log1p: (x: number): Exact => fixed(logOfFixed(ONE + toFixed(x), -FRACTION)),
  tanh: (x: number): Exact => {
    const { value, exponent } = expOfFixed(2n * toFixed(x));
    const e = shift(value, exponent);
    return fixed(divide(e - ONE, e + ONE));
  },
  /** `2/√π · Σ (−1)ⁿ x^(2n+1) / (n! (2n+1))`; π by Machin's formula. */
  erf: (x: number): Exact => {
    const z = toFixed(x);
    const square = multiply(z, z);
    const sum = series(
      z,
      (term, n) => -multiply(term, square) / n,
      (n) => 2n * n + 1n,
    );
    return fixed(divide(2n * sum, SQRT_PI));
  },
  pow: (x: number, y: number): Exact => {
    const { mantissa, exponent } = parts(x);
    return expOfFixed(multiply(toFixed(y), logOfFixed(mantissa, exponent)));
  },
};

const arcTangentOfInverse = (q: bigint): bigint =>
  series(
    ONE / q,
    (term) => -term / (q * q),
    (n) => 2n * n + 1n,
  );
const SQRT_PI = squareRoot((4n * (4n * arcTangentOfInverse(5n) - arcTangentOfInverse(239n))) << FRACTION);

function squareRoot(value: bigint): bigint {
  let root = 1n << BigInt((value.toString(2).length / 2 + 1) | 0);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** How far `actual` is from `expected`, in units in the last place of `actual`. */
export function ulps(actual: number, expected: Exact): number {
  const { mantissa, exponent } = parts(actual);
  const scaled = shift(expected.value, expected.exponent - FRACTION - exponent + 32n);
  return Math.abs(Number(scaled - (mantissa << 32n))) / 2 ** 32;
}
