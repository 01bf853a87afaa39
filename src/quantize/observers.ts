/** Observers: which range of an activation's values its quantizer should cover. Pure functions of the statistics. */
import { log } from '../numerics/elementary.ts';
import type { ActivationStatistics, Histogram } from './statistics.ts';
import { chooseParameters, type QuantizationParameters, type RealRange, type Scheme } from './scheme.ts';

/** What an observer needs to know of the quantizer that will cover the range. */
export interface ObserverOptions {
  readonly bits: number;
  readonly scheme: Scheme;
  /** For `percentile`: the share of the values, in percent, that lies below the upper and above the lower bound. */
  readonly percentile: number;
}

export type Observer = (statistics: ActivationStatistics, options: ObserverOptions) => RealRange;

/** The observers by the names that recipes use. */
export const observers = {
  /** The smallest and largest value seen: nothing is clipped, outliers cost resolution. */
  minmax: ({ min, max }) => ({ min, max }),

  /** Extremes of the images, exponentially averaged: less sensitive to a single image. */
  movingAverage: ({ movingMin, movingMax }) => ({ min: movingMin, max: movingMax }),

  /** Quantiles of the values, interpolated within their bins. */
  percentile(statistics, { percentile }) {
    const histogram = statistics.histogram();
    const tail = 1 - percentile / 100;
    const clip = (bound: number): number => Math.min(Math.max(bound, statistics.min), statistics.max);
    return { min: clip(quantile(histogram, tail)), max: clip(quantile(histogram, 1 - tail)) };
  },

  /** The range with the least squared error of the quantized values. The default, by the measurements in docs/quantization.md. */
  mse(statistics, { bits, scheme }) {
    const histogram = statistics.histogram();
    return searchRange(statistics, (range) => squaredError(histogram, chooseParameters(range, bits, scheme)));
  },

  /**
   * The range whose quantized distribution tells least apart from the original by Kullback–Leibler divergence (Migacz 2017,
   * "8-bit inference with TensorRT"). One threshold on |x| serves both sides.
   */
  entropy: (statistics, { bits, scheme }) => {
    const threshold = entropyThreshold(statistics.histogram(), bits, scheme);
    return { min: Math.max(statistics.min, -threshold), max: Math.min(statistics.max, threshold) };
  },
} satisfies Record<string, Observer>;

export type ObserverName = keyof typeof observers;

/** Sum of the squared errors of quantizing all values of a histogram, those of a bin taken as spread evenly. */
export function squaredError(histogram: Histogram, parameters: QuantizationParameters): number {
  const { counts, first, binWidth } = histogram;
  const { scale, zeroPoint, qmin, qmax } = parameters;
  const low = qmin - zeroPoint;
  const high = qmax - zeroPoint;
  const inverse = 1 / scale;
  let error = 0;
  let total = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i];
    if (count === 0) continue;
    const centre = (first + i + 0.5) * binWidth;
    const level = Math.min(Math.max(Math.round(centre * inverse), low), high);
    const difference = centre - level * scale;
    error += count * difference * difference;
    total += count;
  }
  // The variance of an even spread over one bin.
  return error + (total * binWidth * binWidth) / 12;
}

/** Share of the values of a histogram that lie outside what the quantizer covers (half a step beyond its ends included). */
export function clippedShare(histogram: Histogram, parameters: QuantizationParameters): number {
  const { counts, first, binWidth, zeros } = histogram;
  const low = (parameters.qmin - parameters.zeroPoint - 0.5) * parameters.scale;
  const high = (parameters.qmax - parameters.zeroPoint + 0.5) * parameters.scale;
  let outside = 0;
  let total = zeros;
  for (let i = 0; i < counts.length; i++) {
    const centre = (first + i + 0.5) * binWidth;
    if (centre < low || centre > high) outside += counts[i];
    total += counts[i];
  }
  return total === 0 ? 0 : outside / total;
}

/** The value below which `share` of all values lie. */
function quantile({ counts, first, binWidth, zeros }: Histogram, share: number): number {
  let total = zeros;
  for (const count of counts) total += count;
  const target = share * total;
  // The zeros lie between bin −1 and bin 0, also where the histogram ends before these or starts behind them.
  const zerosBefore = Math.min(Math.max(-first, 0), counts.length);
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    if (i === zerosBefore && zeros > 0) {
      below += zeros;
      if (below >= target) return 0;
    }
    if (counts[i] > 0 && below + counts[i] >= target) {
      return (first + i + (target - below) / counts[i]) * binWidth;
    }
    below += counts[i];
  }
  return zeros > 0 && zerosBefore === counts.length ? 0 : (first + counts.length) * binWidth;
}

/** Steps of the coarse and the fine grid on which a bound is searched. */
const GRID = 32;

/**
 * Minimizes `cost` over ranges within the observed one: each bound in turn on a grid, then on a finer grid around the best, until
 * neither moves. A bound on the near side of zero stays at zero.
 */
function searchRange({ min, max }: RealRange, cost: (range: RealRange) => number): RealRange {
  let best: RealRange = { min: Math.min(min, 0), max: Math.max(max, 0) };
  let least = cost(best);
  const consider = (range: RealRange): boolean => {
    const value = cost(range);
    if (!(value < least)) return false;
    least = value;
    best = range;
    return true;
  };
  const searchBound = (bound: 'min' | 'max', centre: number, width: number, extreme: number): boolean => {
    let moved = false;
    for (let k = -GRID; k <= GRID; k++) {
      const value = centre + (k * width) / GRID;
      // Only between zero (excluded: the range must keep a width) and the observed extreme.
      if (value * extreme <= 0 || Math.abs(value) > Math.abs(extreme)) continue;
      if (consider({ ...best, [bound]: value })) moved = true;
    }
    return moved;
  };
  // Both bounds scaled together first: for a symmetric quantizer only the larger one matters.
  const widest = best;
  for (let k = 1; k < GRID; k++) consider({ min: (widest.min * k) / GRID, max: (widest.max * k) / GRID });
  for (let width = 1; width > 0.002; width /= 4) {
    let moved = true;
    for (let round = 0; moved && round < 4; round++) {
      moved = false;
      for (const bound of ['min', 'max'] as const) {
        const extreme = widest[bound];
        if (extreme !== 0 && searchBound(bound, best[bound], width * extreme, extreme)) moved = true;
      }
    }
  }
  return best;
}

/** Bins that the magnitudes are counted in before thresholds are tried, as in TensorRT. */
const ENTROPY_BINS = 2048;

/** Threshold on |x| with the least divergence. Exact zeros are left out: every candidate represents them alike. */
function entropyThreshold(histogram: Histogram, bits: number, scheme: Scheme): number {
  const { counts, first, binWidth } = histogram;
  const last = first + counts.length;
  const extent = Math.max(-first, last);
  const merge = Math.max(1, Math.ceil(extent / ENTROPY_BINS));
  const magnitudes = new Float64Array(Math.ceil(extent / merge));
  for (let i = 0; i < counts.length; i++) {
    const bin = first + i;
    magnitudes[Math.floor((bin < 0 ? -1 - bin : bin) / merge)] += counts[i];
  }
  const oneSided = first >= 0 || last <= 0;
  // Levels on one side of zero.
  const levels = scheme === 'affine' && oneSided ? 2 ** bits - 1 : 2 ** (bits - 1) - 1;
  const width = binWidth * merge;
  const step = Math.max(1, Math.floor(magnitudes.length / 256));
  let best = magnitudes.length;
  let least = divergence(magnitudes, best, levels);
  for (let bins = magnitudes.length - step; bins >= Math.max(levels, 2); bins -= step) {
    const value = divergence(magnitudes, bins, levels);
    if (value < least) {
      least = value;
      best = bins;
    }
  }
  return best * width;
}

/**
 * KL(P ‖ Q) where P is the first `bins` bins with all that lies beyond added to the last, and Q is those bins reduced to `levels` levels, each
 * level's mass spread over the bins of its span that are not empty.
 */
function divergence(magnitudes: Float64Array, bins: number, levels: number): number {
  let total = 0;
  for (const count of magnitudes) total += count;
  let outliers = 0;
  for (let i = bins; i < magnitudes.length; i++) outliers += magnitudes[i];
  const inside = total - outliers;
  if (inside === 0) return Infinity;
  let result = 0;
  for (let level = 0; level < levels; level++) {
    const from = Math.floor((level * bins) / levels);
    const to = Math.floor(((level + 1) * bins) / levels);
    let mass = 0;
    let filled = 0;
    for (let i = from; i < to; i++) {
      mass += magnitudes[i];
      if (magnitudes[i] > 0) filled++;
    }
    for (let i = from; i < to; i++) {
      const p = (magnitudes[i] + (i === bins - 1 ? outliers : 0)) / total;
      if (p === 0) continue;
      // An outlier-only last bin has no mass of its own: one count keeps the divergence finite and large.
      const q = (filled > 0 && magnitudes[i] > 0 ? mass / filled : 1) / inside;
      result += p * log(p / q);
    }
  }
  return result;
}
