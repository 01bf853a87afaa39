import { describe, expect, it } from 'vitest';
import { erf, exp, expm1, log, log1p, pow, tanh } from '../../src/numerics/elementary.ts';
import { exact, ulps } from '../support/exact.ts';
import { createRandom } from '../support/random.ts';

const COUNT = 1500;
const random = createRandom(18);
const uniform = (lo: number, hi: number) => lo + (hi - lo) * (random.next() + random.next() / 2 ** 32);
const signed = (x: number) => (random.chance(0.5) ? x : -x);
/** Of magnitudes spread evenly over the powers of two. */
const spread = (lo: number, hi: number) => signed(Math.pow(2, uniform(lo, hi)));
const list = <T>(make: () => T) => Array.from({ length: COUNT }, make);

const functions = { erf, exp, expm1, log, log1p, tanh };

describe('elementary functions are within one unit in the last place', () => {
  const inputs: Record<keyof typeof functions, number[]> = {
    erf: [
      list(() => spread(-60, 2.6)),
      list(() => uniform(-1.5, 1.5)),
      list(() => uniform(-6.2, 6.2)),
    ].flat(),
    exp: [list(() => uniform(-745, 709.7)), list(() => uniform(-1, 1)), list(() => spread(-60, 6))].flat(),
    expm1: [list(() => uniform(-45, 709.7)), list(() => uniform(-1, 1)), list(() => spread(-60, 5))].flat(),
    log: [
      list(() => Math.abs(spread(-1074, 1023.9))),
      list(() => uniform(0.5, 2)),
      list(() => 1 + spread(-50, -2)),
    ].flat(),
    log1p: [
      list(() => uniform(-0.999, 1)),
      list(() => spread(-60, -1)),
      list(() => Math.abs(spread(0, 1000))),
    ].flat(),
    tanh: [list(() => spread(-40, 4.4)), list(() => uniform(-3, 3)), list(() => uniform(-20, 20))].flat(),
  };
  it.each(Object.keys(functions) as (keyof typeof functions)[])('%s', (name) => {
    let worst = 0;
    for (const x of inputs[name]) {
      const error = ulps(functions[name](x), exact[name](x));
      worst = Math.max(worst, error);
      if (!(error < 1)) expect.fail(`${name}(${x}) = ${functions[name](x)} is ${error} ulp off`);
    }
    // The measure itself: a correctly rounded result is up to half a unit off.
    expect(worst).toBeGreaterThan(0.45);
  });

  it('pow', () => {
    const pairs = [
      list(() => [Math.abs(spread(-3, 3)), uniform(-200, 200)] as const),
      list(() => [Math.abs(spread(-300, 300)), spread(-8, 1)] as const),
      list(() => [1 + spread(-40, -2), spread(0, 9)] as const),
    ].flat();
    for (const [x, y] of pairs) {
      const error = ulps(pow(x, y), exact.pow(x, y));
      if (!(error < 1)) expect.fail(`pow(${x}, ${y}) = ${pow(x, y)} is ${error} ulp off`);
    }
  });
});

describe('exact cases', () => {
  it('powers of small integers, and squares', () => {
    for (let base = 1; base <= 40; base++) {
      for (let n = 0, value = 1; value <= Number.MAX_SAFE_INTEGER; value *= base, n++) {
        if (n > 60) break;
        expect(pow(base, n), `${base}^${n}`).toBe(value);
        expect(pow(-base, n), `(−${base})^${n}`).toBe(n % 2 === 1 ? -value : value);
      }
    }
    for (let k = -1074; k <= 1023; k++) expect(pow(2, k)).toBe(2 ** k);
    for (const x of list(() => Math.fround(uniform(-100, 100)))) expect(pow(x, 2)).toBe(x * x);
  });

  it('of infinities, zeros and what is not a number', () => {
    const table: [number, number][] = [
      [exp(0), 1],
      [exp(-0), 1],
      [exp(Infinity), Infinity],
      [exp(-Infinity), 0],
      [exp(709.782712893384), 1.7976931348622732e308],
      [exp(709.782712893385), Infinity],
      [exp(-745.1332191019411), 5e-324],
      [exp(-745.1332191019412), 0],
      [exp(NaN), NaN],
      [expm1(-0), -0],
      [expm1(0), 0],
      [expm1(Infinity), Infinity],
      [expm1(-Infinity), -1],
      [expm1(NaN), NaN],
      [expm1(5e-324), 5e-324],
      [log(0), -Infinity],
      [log(-0), -Infinity],
      [log(-1), NaN],
      [log(1), 0],
      [log(Infinity), Infinity],
      [log(NaN), NaN],
      [log1p(-1), -Infinity],
      [log1p(-2), NaN],
      [log1p(-0), -0],
      [log1p(Infinity), Infinity],
      [log1p(NaN), NaN],
      [log1p(5e-324), 5e-324],
      [tanh(-0), -0],
      [tanh(5e-324), 5e-324],
      [tanh(Infinity), 1],
      [tanh(-Infinity), -1],
      [tanh(NaN), NaN],
      [erf(-0), -0],
      [erf(5e-324), 5e-324],
      [erf(Infinity), 1],
      [erf(-Infinity), -1],
      [erf(NaN), NaN],
    ];
    table.forEach(([actual, expected], row) => expect(actual, `row ${row}`).toBe(expected));
  });

  it('pow as IEEE 754 has it', () => {
    const cases: [x: number, y: number, expected: number][] = [
      [NaN, 0, 1],
      [1, NaN, 1],
      [NaN, 1, NaN],
      [2, NaN, NaN],
      [-1, Infinity, 1],
      [-1, -Infinity, 1],
      [0.5, Infinity, 0],
      [0.5, -Infinity, Infinity],
      [-2, Infinity, Infinity],
      [2, -Infinity, 0],
      [0, 3, 0],
      [-0, 3, -0],
      [-0, 2, 0],
      [0, -3, Infinity],
      [-0, -3, -Infinity],
      [-0, -2.5, Infinity],
      [Infinity, 0.5, Infinity],
      [Infinity, -1, 0],
      [-Infinity, 3, -Infinity],
      [-Infinity, 2, Infinity],
      [-Infinity, -3, -0],
      [-8, 1 / 3, NaN],
      [-2, 3, -8],
      [-2, 1e300, Infinity],
      [2, 1024, Infinity],
      [-2, 1025, -Infinity],
      [2, -1075, 0],
      [1 + 2 ** -52, 1e300, Infinity],
      [1e-300, 1e300, 0],
      [5e-324, 1, 5e-324],
      [3, 1e-300, 1],
    ];
    for (const [x, y, expected] of cases) expect(pow(x, y), `pow(${x}, ${y})`).toBe(expected);
  });
});
