import { describe, expect, it } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import {
  commonRescale,
  MAX_SHIFT,
  requantize,
  requantizeMultiplier,
  rescaleSum,
  roundHalfToEven,
  toMultiplier,
} from '../../src/program/multiplier.ts';
import { createRandom } from '../support/random.ts';

/** `rne(value · 2^−shift)` in exact integers. */
function shiftRounded(value: bigint, shift: number): bigint {
  const unit = 1n << BigInt(shift);
  const floor = value >> BigInt(shift);
  const twice = 2n * (value - floor * unit);
  return floor + (twice > unit || (twice === unit && floor % 2n !== 0n) ? 1n : 0n);
}

function clamp(value: bigint, lo: number, hi: number): number {
  return value < lo ? lo : value > hi ? hi : Number(value);
}

function exactRequantize(
  acc: number,
  mantissa: number,
  shift: number,
  zero: number,
  lo: number,
  hi: number,
): number {
  return clamp(BigInt(zero) + shiftRounded(BigInt(acc) * BigInt(mantissa), shift), lo, hi);
}

describe('toMultiplier', () => {
  const random = createRandom(11);
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);

  it('is the float32 exactly, where its exponent is in range', () => {
    for (let i = 0; i < 100_000; i++) {
      // Exponents from 2⁻³³ to 2²³.
      bits[0] = (random.int(94, 150) << 23) | random.int(0, 0x7fffff);
      const { mantissa, shift } = toMultiplier(float[0]);
      const isInRange = mantissa < 2 ** 24 && shift >= 0 && shift <= MAX_SHIFT;
      if (!isInRange || mantissa * 2 ** -shift !== float[0])
        expect.fail(`${float[0]}: ${mantissa}, ${shift}`);
    }
  });

  it.each([2 ** -149, 1.5 * 2 ** -130, 2 ** -126, 2 ** -60, 2 ** -33, 2 ** -34])(
    'rounds every accumulator times %d to 0',
    (real) => {
      const { mantissa, shift } = toMultiplier(real);
      for (const acc of [2 ** 31 - 1, -(2 ** 31), 1, -1]) {
        expect(requantize(acc, mantissa, shift, 0, -128, 127)).toBe(0);
      }
    },
  );

  it.each([2 ** 24, 2 ** 25 + 4, 2 ** 100, 3.4e38])('saturates every accumulator but 0 times %d', (real) => {
    const { mantissa, shift } = toMultiplier(real);
    expect(requantize(1, mantissa, shift, -128, -128, 127)).toBe(127);
    expect(requantize(-1, mantissa, shift, 127, -128, 127)).toBe(-128);
    expect(requantize(0, mantissa, shift, 5, -128, 127)).toBe(5);
  });

  it.each([0, -0, -1, NaN, Infinity, -Infinity, 1e-50, 1e39])('refuses %d', (real) => {
    expect(() => toMultiplier(real)).toThrow(ModelError);
  });

  it('is 1 for 1', () => expect(toMultiplier(1)).toEqual({ mantissa: 2 ** 23, shift: 23 }));
});

describe('requantize', () => {
  it('equals BigInt arithmetic on two million random cases', () => {
    const random = createRandom(12);
    let wrong = 0;
    for (let i = 0; i < 2_000_000; i++) {
      // All magnitudes of accumulators alike, up to the whole of int32.
      const acc = random.int(-(2 ** 31), 2 ** 31 - 1) >> random.int(0, 31);
      const mantissa = random.int(2 ** 23, 2 ** 24 - 1);
      // Mostly such that the result is in range, else it says little.
      const fitting = 23 + Math.ceil(Math.log2(Math.abs(acc) + 1)) - random.int(0, 9);
      const shift = random.chance(0.8) ? Math.min(MAX_SHIFT, Math.max(0, fitting)) : random.int(0, MAX_SHIFT);
      const zero = random.int(-128, 127);
      const lo = random.chance(0.5) ? -128 : zero;
      const y = requantize(acc, mantissa, shift, zero, lo, 127);
      if (y !== exactRequantize(acc, mantissa, shift, zero, lo, 127)) wrong++;
    }
    expect(wrong).toBe(0);
  });

  it('equals it on ties and their neighbours, on both sides of 2²⁹', () => {
    const random = createRandom(13);
    let ties = 0;
    for (let i = 0; i < 100_000; i++) {
      // acc · mantissa = odd · 2^(shift − 1) needs the powers of two to come from both factors.
      const accTwos = random.int(0, 30);
      const mantissaTwos = random.int(0, 23);
      const acc =
        (random.chance(0.5) ? -1 : 1) *
        Math.min(2 ** 31 - 1, random.int(0, 2 ** (31 - accTwos) - 1) * 2 ** accTwos);
      const mantissa =
        (random.int(0, 2 ** (23 - mantissaTwos) - 1) + 2 ** (23 - mantissaTwos)) * 2 ** mantissaTwos;
      const shift = Math.min(MAX_SHIFT, accTwos + mantissaTwos + 1);
      for (const [a, m] of [
        [acc, mantissa],
        [acc + 1, mantissa],
        [acc - 1, mantissa],
        [acc, mantissa - 1],
      ]) {
        const product = BigInt(a) * BigInt(m);
        if (2n * (product & ((1n << BigInt(shift)) - 1n)) === 1n << BigInt(shift)) ties++;
        const y = requantize(a | 0, m, shift, 3, -128, 127);
        if (y !== exactRequantize(a | 0, m, shift, 3, -128, 127))
          expect.fail(`acc ${a}, mantissa ${m}, shift ${shift}: ${y}`);
      }
    }
    expect(ties).toBeGreaterThan(20_000);
  });

  it('equals it at the corners', () => {
    for (const acc of [-(2 ** 31), -(2 ** 31) + 1, -(2 ** 29), 2 ** 29 - 1, -1, 0, 1, 2 ** 29, 2 ** 31 - 1]) {
      for (const mantissa of [0, 1, 2 ** 23, 2 ** 23 + 1, 2 ** 24 - 1]) {
        for (let shift = 0; shift <= MAX_SHIFT; shift++) {
          for (const [zero, lo, hi] of [
            [0, -128, 127],
            [-128, -128, 127],
            [127, -128, 127],
            [10, 10, 20],
          ]) {
            const y = requantize(acc, mantissa, shift, zero, lo, hi);
            if (y !== exactRequantize(acc, mantissa, shift, zero, lo, hi)) {
              expect.fail(`acc ${acc}, mantissa ${mantissa}, shift ${shift}, zero point ${zero}: ${y}`);
            }
          }
        }
      }
    }
  });
});

it('roundHalfToEven rounds ties to even and the rest to the nearest', () => {
  const cases = [
    0.5,
    1.5,
    2.5,
    -0.5,
    -1.5,
    -2.5,
    0.49999999999999994,
    -0.49999999999999994,
    2.4999999999999996,
    1e9 + 0.5,
  ];
  expect(cases.map((x) => roundHalfToEven(x) + 0)).toEqual([0, 2, 2, 0, -2, -2, 0, 0, 2, 1e9]);
});

it('requantizeMultiplier rounds to float32 after each step, in ONNX Runtime’s order', () => {
  const f = Math.fround;
  const random = createRandom(14);
  const unlikeOneRounding = Array.from({ length: 1000 }, () => {
    const [x, w, y] = [0.001 + random.next(), 0.001 + random.next(), 0.001 + random.next()].map(f);
    expect(requantizeMultiplier(x, w, y)).toBe(f(f(x * w) / y));
    return requantizeMultiplier(x, w, y) !== f((x * w) / y);
  }).filter(Boolean);
  expect(unlikeOneRounding.length).toBeGreaterThan(0);
});

describe('commonRescale', () => {
  it('takes the largest shift at which the sum is exact', () => {
    const random = createRandom(15);
    for (let i = 0; i < 10_000; i++) {
      const factors = Array.from({ length: random.int(1, 4) }, () =>
        Math.fround(2 ** (30 * random.next() - 22)),
      );
      const terms = factors.map(() => random.int(1, 50));
      const exclusive = random.chance(0.5);
      const { multipliers, shift } = commonRescale(factors, terms, exclusive);
      const bound = (s: number) => {
        const products = factors.map((f, j) => 255 * terms[j] * Math.round(f * 2 ** s));
        return (exclusive ? Math.max(...products) : products.reduce((a, b) => a + b, 0)) + 2 ** (s - 1);
      };
      expect(bound(shift)).toBeLessThan(2 ** 31);
      if (shift < 30) expect(bound(shift + 1)).toBeGreaterThanOrEqual(2 ** 31 - 255 * terms.length);
      factors.forEach((f, j) => expect(Math.abs(multipliers[j] - f * 2 ** shift)).toBeLessThanOrEqual(0.5));
    }
  });

  it.each([[[0]], [[NaN]], [[-1]], [[Infinity]], [[2 ** 24, 1]]])('refuses %j', (factors) => {
    expect(() =>
      commonRescale(
        factors,
        factors.map(() => 1),
      ),
    ).toThrow(ModelError);
  });
});

it('rescaleSum equals BigInt arithmetic', () => {
  const random = createRandom(16);
  for (let i = 0; i < 200_000; i++) {
    const sum = random.int(-(2 ** 31), 2 ** 31 - 1) >> random.int(0, 24);
    const rescale = {
      multipliers: new Int32Array(),
      inputZeroPoints: new Int32Array(),
      shift: random.int(0, 30),
      zeroPoint: random.int(-128, 127),
      lo: -100,
      hi: 120,
    };
    const expected = clamp(BigInt(rescale.zeroPoint) + shiftRounded(BigInt(sum), rescale.shift), -100, 120);
    if (rescaleSum(sum, rescale) !== expected) expect.fail(`${sum} ${JSON.stringify(rescale)}`);
  }
});
