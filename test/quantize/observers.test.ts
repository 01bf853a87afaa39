import { describe, expect, it } from 'vitest';
import { clippedShare, observers, squaredError, type ObserverOptions } from '../../src/quantize/observers.ts';
import {
  chooseParameters,
  dequantizeValue,
  quantizeValue,
  type RealRange,
} from '../../src/quantize/scheme.ts';
import { ActivationStatistics } from '../../src/quantize/statistics.ts';
import { createRandom } from '../support/random.ts';

const options: ObserverOptions = { bits: 8, scheme: 'affine', percentile: 99 };

/** Standard normal values (Box & Muller 1958). */
function normal(count: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next()),
  );
}

function observe(data: Float32Array): ActivationStatistics {
  const statistics = new ActivationStatistics(0.5);
  statistics.add(data, [1, 1, data.length]);
  return statistics;
}

function exactError(
  data: Float32Array,
  range: RealRange,
  bits: number,
  scheme: 'affine' | 'symmetric',
): number {
  const p = chooseParameters(range, bits, scheme);
  return data.reduce((sum, x) => sum + (dequantizeValue(quantizeValue(x, p), p) - x) ** 2, 0);
}

const distributions: Record<string, Float32Array> = {
  normal: normal(20_000, 1),
  'normal with outliers': normal(20_000, 2).map((x, i) => (i % 4000 === 0 ? 20 * x + 30 : x)),
  'after ReLU': normal(20_000, 3).map((x) => Math.max(x, 0)),
  skewed: normal(20_000, 4).map((x) => Math.exp(x) - 1),
  negative: normal(20_000, 5).map((x) => -Math.abs(x)),
};

describe('minmax and movingAverage', () => {
  it('give the extremes, and their averages', () => {
    const s = new ActivationStatistics(0.25);
    s.add(Float32Array.of(-1, 4, -5, 8), [2, 1, 2]);
    expect(observers.minmax(s)).toEqual({ min: -5, max: 8 });
    expect(observers.movingAverage(s)).toEqual({ min: -2, max: 5 });
  });
});

describe('percentile', () => {
  for (const [name, data] of Object.entries(distributions)) {
    it(`finds the quantiles of values that are ${name}, to a bin`, () => {
      const s = observe(data);
      const sorted = data.toSorted();
      for (const percentile of [90, 99, 99.9]) {
        const { min, max } = observers.percentile(s, { ...options, percentile });
        const tail = 1 - percentile / 100;
        const { binWidth } = s.histogram();
        const near = (x: number, share: number): void => {
          const at = share * sorted.length;
          expect(x).toBeGreaterThanOrEqual(sorted[Math.max(0, Math.floor(at) - 2)] - binWidth);
          expect(x).toBeLessThanOrEqual(sorted[Math.min(sorted.length - 1, Math.ceil(at) + 2)] + binWidth);
        };
        near(min, tail);
        near(max, 1 - tail);
      }
    });
  }

  it('of 100 is the whole range', () => {
    const s = observe(distributions.normal);
    expect(observers.percentile(s, { ...options, percentile: 100 })).toEqual({ min: s.min, max: s.max });
  });
});

describe('mse', () => {
  for (const [name, data] of Object.entries(distributions)) {
    for (const scheme of ['affine', 'symmetric'] as const) {
      it(`is as good as the best of a grid of ranges, each tried on all values: ${name}, ${scheme}`, () => {
        const sample = data.subarray(0, 400);
        const s = observe(sample);
        const [low, high] = [Math.min(s.min, 0), Math.max(s.max, 0)];
        for (const bits of [8, 4, 2]) {
          let least = Infinity;
          for (let i = low < 0 ? 0 : 40; i <= 40; i++) {
            for (let k = high > 0 ? 0 : 40; k <= 40; k++) {
              const range = { min: (low * i) / 40, max: (high * k) / 40 };
              if (range.min < range.max) least = Math.min(least, exactError(sample, range, bits, scheme));
            }
          }
          const found = exactError(sample, observers.mse(s, { ...options, bits, scheme }), bits, scheme);
          expect(found).toBeLessThanOrEqual(least * 1.02);
        }
      });
    }
  }

  it('clips outliers where bits are few and keeps them where bits are many', () => {
    const data = distributions['normal with outliers'];
    const s = observe(data);
    const few = observers.mse(s, { ...options, bits: 2 });
    const many = observers.mse(s, { ...options, bits: 8 });
    expect(few.max).toBeLessThan(many.max);
  });
});

describe('entropy', () => {
  it('keeps the whole of an even distribution', () => {
    const data = Float32Array.from({ length: 40_000 }, (_, i) => (i + 0.5) / 40_000);
    expect(observers.entropy(observe(data), options).max).toBeGreaterThan(0.95);
  });

  it('cuts rare outliers off, on both sides of zero', () => {
    const data = normal(50_000, 6);
    data[7] = 60;
    data[9] = -50;
    const { min, max } = observers.entropy(observe(data), options);
    expect(max).toBeGreaterThan(2);
    expect(max).toBeLessThan(15);
    expect(min).toBe(-max);
  });
});

describe('any observer', () => {
  for (const [observerName, observer] of Object.entries(observers)) {
    it(`stays within what was seen, at all bits: ${observerName}`, () => {
      for (const data of [...Object.values(distributions), Float32Array.of(0, 0), Float32Array.of(3, 3)]) {
        const s = observe(data);
        for (const bits of [2, 5, 8]) {
          for (const scheme of ['affine', 'symmetric'] as const) {
            const { min, max } = observer(s, { ...options, bits, scheme });
            expect(min).toBeLessThanOrEqual(max);
            expect(min).toBeGreaterThanOrEqual(Math.min(s.min, 0));
            expect(max).toBeLessThanOrEqual(Math.max(s.max, 0));
          }
        }
      }
    });
  }
});

describe('squaredError and clippedShare', () => {
  for (const [name, data] of Object.entries(distributions)) {
    it(`estimate from the histogram what the values say: ${name}`, () => {
      const s = observe(data);
      const range = { min: s.min / 3, max: s.max / 3 };
      const p = chooseParameters(range, 8, 'affine');
      const exact = exactError(data, range, 8, 'affine');
      const estimate = squaredError(s.histogram(), p);
      expect(estimate / exact).toBeGreaterThan(0.97);
      expect(estimate / exact).toBeLessThan(1.03);
      const outside = data.filter((x) => {
        const q = Math.round(x / p.scale) + p.zeroPoint;
        return q < p.qmin || q > p.qmax;
      }).length;
      // To the values of one bin at each bound.
      expect(Math.abs(clippedShare(s.histogram(), p) - outside / data.length)).toBeLessThan(0.01);
    });
  }
});
