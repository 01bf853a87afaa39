import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ActivationStatistics, type Histogram } from '../../src/quantize/statistics.ts';

const value = fc.oneof(
  fc.constant(0),
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ min: -8, max: 8, noNaN: true }),
);
const images = fc.array(fc.array(value, { minLength: 6, maxLength: 6 }), { minLength: 1, maxLength: 12 });

function feed(groups: readonly (readonly number[][])[], momentum = 0.5): ActivationStatistics {
  const statistics = new ActivationStatistics(momentum);
  for (const group of groups) statistics.add(Float32Array.from(group.flat()), [group.length, 3, 2]);
  return statistics;
}

/** Counts by bin, without the empty ones. */
function filledBins({ counts, first }: Histogram): Map<number, number> {
  const filled = new Map<number, number>();
  counts.forEach((count, i) => count > 0 && filled.set(first + i, count));
  return filled;
}

describe('ActivationStatistics', () => {
  it('equals a histogram that is made with all values at hand', () => {
    fc.assert(
      fc.property(images, (all) => {
        const values = [...Float32Array.from(all.flat())];
        const histogram = feed(all.map((image) => [image])).histogram();
        const { binWidth, zeros } = histogram;
        expect(zeros).toBe(values.filter((v) => v === 0).length);
        const expected = new Map<number, number>();
        for (const v of values) {
          if (v === 0) continue;
          const bin = Math.floor(v / binWidth);
          expected.set(bin, (expected.get(bin) ?? 0) + 1);
        }
        expect(filledBins(histogram)).toEqual(expected);
        const magnitude = Math.max(...values.map(Math.abs));
        if (magnitude > 0) {
          // Fine enough for 8 bits whatever came first.
          expect(magnitude / binWidth).toBeGreaterThanOrEqual(2048);
          expect(magnitude / binWidth).toBeLessThan(4096);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on batching or order', () => {
    fc.assert(
      fc.property(images, (all) => {
        const one = feed([all]);
        const each = feed(all.map((image) => [image]).reverse());
        expect(filledBins(each.histogram())).toEqual(filledBins(one.histogram()));
        expect(each.histogram().binWidth).toBe(one.histogram().binWidth);
        expect([each.min, each.max, each.count, each.images]).toEqual([
          one.min,
          one.max,
          one.count,
          one.images,
        ]);
      }),
      { numRuns: 200 },
    );
  });

  it('knows extremes, power and channel means', () => {
    const s = feed([[[1, 2, 3, 4, -5, 6]], [[-1, 2, -3, 4, 5, 0]]]);
    expect([s.min, s.max, s.count, s.images]).toEqual([-5, 6, 12, 2]);
    expect(s.sumOfSquares).toBe(1 + 4 + 9 + 16 + 25 + 36 + 1 + 4 + 9 + 16 + 25);
    expect([...s.channelMeans()]).toEqual([1, 2, 1.5]);
  });

  it('averages the extremes of each image, whatever the batches', () => {
    const all = [
      [0, 0, 0, 0, -1, 8],
      [0, 0, 0, 0, -3, 4],
      [0, 0, 0, 0, 0, 2],
    ];
    for (const groups of [[all], all.map((image) => [image])]) {
      const s = feed(groups, 0.5);
      expect([s.movingMin, s.movingMax]).toEqual([-1, 4]);
    }
  });

  it('names the first value that is not finite, and keeps what it had', () => {
    const s = feed([[[1, 2, 3, 4, 5, 6]]]);
    for (const bad of [NaN, Infinity, -Infinity]) {
      expect(s.add(Float32Array.of(1, 2, 3, bad, 5, Infinity), [1, 3, 2])).toBe(bad);
    }
    expect([s.max, s.count, s.images]).toEqual([6, 6, 1]);
  });

  it('takes constants and empty batches', () => {
    const zeros = feed([[[0, 0, 0, 0, 0, 0]]]);
    expect([zeros.min, zeros.max, zeros.histogram().zeros]).toEqual([0, 0, 6]);
    expect(zeros.histogram().counts.length).toBe(0);
    zeros.add(new Float32Array(0), [0, 3, 2]);
    expect(zeros.count).toBe(6);
  });

  it('takes a power of two exactly at the edge of the bins', () => {
    const s = feed([[[4, -4, 2, -2, 1, 0]]]);
    const { counts, first, binWidth } = s.histogram();
    expect(counts[0]).toBe(1);
    expect(first * binWidth).toBe(-4);
    expect(counts.reduce((a, b) => a + b)).toBe(5);
  });
});
