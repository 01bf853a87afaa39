import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import {
  chooseParameters,
  dequantizeValue,
  integerRange,
  quantizeImage,
  quantizeUniformly,
  quantizeValue,
  representedRange,
  SMALLEST_SCALE,
  uniformQuantizer,
  type Scheme,
} from '../../src/quantize/scheme.ts';

const bits = fc.integer({ min: 2, max: 8 });
const scheme = fc.constantFrom<Scheme>('affine', 'symmetric');
const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });
const range = fc.tuple(float32, float32).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }));

describe('chooseParameters', () => {
  it('gives a normal float32 scale and a zero point in range, for every range of float32 values', () => {
    fc.assert(
      fc.property(range, bits, scheme, (r, n, s) => {
        const { scale, zeroPoint, qmin, qmax } = chooseParameters(r, n, s);
        expect(Math.fround(scale)).toBe(scale);
        expect(scale).toBeGreaterThanOrEqual(SMALLEST_SCALE);
        expect(scale).toBeLessThan(Infinity);
        expect(Number.isInteger(zeroPoint)).toBe(true);
        expect(zeroPoint).toBeGreaterThanOrEqual(qmin);
        expect(zeroPoint).toBeLessThanOrEqual(qmax);
        expect(qmax - qmin).toBe(2 ** n - (s === 'affine' ? 1 : 2));
      }),
      { numRuns: 2000 },
    );
  });

  it('represents zero exactly and all of the range within half a step, and one more where the zero point was nudged', () => {
    const moderate = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        moderate,
        moderate,
        fc.double({ min: 0, max: 1, noNaN: true }),
        bits,
        scheme,
        (a, b, t, n, s) => {
          const p = chooseParameters({ min: Math.min(a, b), max: Math.max(a, b) }, n, s);
          expect(dequantizeValue(quantizeValue(0, p), p)).toBe(0);
          const x = Math.fround(a + t * (b - a));
          const error = Math.abs(dequantizeValue(quantizeValue(x, p), p) - x);
          expect(error).toBeLessThanOrEqual(p.scale * 1.001);
          const { min, max } = representedRange(p);
          if (x > min && x < max) expect(error).toBeLessThanOrEqual(p.scale * 0.501);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('puts the zero point of a ReLU output at the lowest integer', () => {
    expect(chooseParameters({ min: 0, max: 6 }, 8, 'affine')).toEqual({
      scale: Math.fround(6 / 255),
      zeroPoint: -128,
      qmin: -128,
      qmax: 127,
    });
  });

  it('centres a symmetric quantizer', () => {
    expect(chooseParameters({ min: -1, max: 0.5 }, 4, 'symmetric')).toEqual({
      scale: Math.fround(1 / 7),
      zeroPoint: 0,
      qmin: -7,
      qmax: 7,
    });
  });

  it('widens a range on one side to zero', () => {
    expect(chooseParameters({ min: 3, max: 5 }, 8, 'affine').zeroPoint).toBe(-128);
    expect(chooseParameters({ min: -5, max: -3 }, 8, 'affine').zeroPoint).toBe(127);
  });

  it('gives a constant of zero the scale 1', () => {
    expect(chooseParameters({ min: 0, max: 0 }, 8, 'affine')).toMatchObject({ scale: 1, zeroPoint: 0 });
  });

  it('refuses what is no range and what are no bits', () => {
    expect(() => chooseParameters({ min: NaN, max: 1 }, 8, 'affine')).toThrow(InputError);
    expect(() => chooseParameters({ min: 0, max: Infinity }, 8, 'affine')).toThrow(/finite/);
    expect(() => chooseParameters({ min: 2, max: 1 }, 8, 'affine')).toThrow(/ordered/);
    for (const n of [1, 9, 4.5, NaN]) expect(() => integerRange(n, 'affine')).toThrow(/from 2 to 8/);
  });
});

describe('quantizeValue', () => {
  it('rounds ties to even and saturates', () => {
    const p = { scale: 0.5, zeroPoint: 3, qmin: -128, qmax: 127 };
    expect([0.25, 0.75, -0.25, -0.75, 1e9, -1e9].map((x) => quantizeValue(x, p))).toEqual([
      3, 5, 3, 1, 127, -128,
    ]);
  });

  it('divides in float32, as ONNX does', () => {
    // In float64 the quotient is below the tie, in float32 it is the tie itself.
    const scale = Math.fround(0.1);
    const x = Math.fround(0.25);
    expect(Math.fround(x / scale)).toBe(2.5);
    expect(x / scale).toBeLessThan(2.5);
    expect(quantizeValue(x, { scale, zeroPoint: 1, qmin: -128, qmax: 127 })).toBe(3);
  });
});

describe('uniformQuantizer', () => {
  it('cuts [min, max) into 2^bits cells of one width', () => {
    const q = uniformQuantizer(-1, 1, 2);
    expect([q.levels, q.step]).toEqual([4, 0.5]);
    expect([-1, -0.51, -0.5, -0.01, 0, 0.49, 0.5, 0.99].map((x) => q.index(x))).toEqual([
      0, 0, 1, 1, 2, 2, 3, 3,
    ]);
    expect([0, 1, 2, 3].map((i) => q.value(i))).toEqual([-0.75, -0.25, 0.25, 0.75]);
    expect([q.index(-99), q.index(99)]).toEqual([0, 3]);
    expect([...quantizeUniformly([-1, 0.1, 5], q)]).toEqual([-0.75, 0.25, 0.75]);
  });

  it('errs by at most half a step within the range', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 16 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (n, t) => {
          const q = uniformQuantizer(-3, 5, n);
          const x = -3 + 8 * t;
          expect(Math.abs(q.value(q.index(x)) - x)).toBeLessThanOrEqual(q.step / 2 + 1e-12);
        },
      ),
    );
  });

  it('refuses an empty range, NaN and odd bits', () => {
    expect(() => uniformQuantizer(1, 1, 8)).toThrow(InputError);
    expect(() => uniformQuantizer(0, 1, 0)).toThrow(/1 to 16/);
    expect(() => uniformQuantizer(0, 1, 8).index(NaN)).toThrow(/NaN/);
  });
});

describe('quantizeImage', () => {
  const all = Uint8Array.from({ length: 256 }, (_, p) => p);

  it('is the identity at 8 bits', () => {
    expect(quantizeImage(all, 8)).toEqual(all);
  });

  it('keeps 2^bits levels, cells of [0, 256] each at its middle', () => {
    expect([...new Set(quantizeImage(all, 1))]).toEqual([64, 192]);
    expect([...new Set(quantizeImage(all, 2))]).toEqual([32, 96, 160, 224]);
    for (let n = 1; n <= 7; n++) {
      const result = quantizeImage(all, n);
      expect(new Set(result).size).toBe(2 ** n);
      result.forEach((value, p) => expect(Math.abs(value - (p + 0.5))).toBeLessThanOrEqual(2 ** (7 - n)));
    }
  });

  it('refuses bits beyond a pixel', () => {
    expect(() => quantizeImage(all, 9)).toThrow(InputError);
  });
});
