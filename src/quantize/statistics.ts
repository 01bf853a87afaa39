/**
 * What calibration remembers of one activation: enough for every observer to choose a range at any number of bits, in one
 * pass over the data and in memory that does not grow with it.
 */

/** Bins on each side of zero. An 8-bit step of a one-sided range then spans 8 to 16 bins. */
const BINS = 4096;

/** A histogram whose bins are aligned to zero: bin `i` of `counts` holds values in `[first + i, first + i + 1) · binWidth`. */
export interface Histogram {
  readonly counts: Float64Array;
  readonly first: number;
  readonly binWidth: number;
  /** Values that are exactly 0; they are in no bin. Every quantizer represents them without error. */
  readonly zeros: number;
}

/** The members of `ActivationStatistics` that a file keeps. */
export interface KeptStatistics {
  readonly count: number;
  readonly images: number;
  readonly min: number;
  readonly max: number;
  readonly sumOfSquares: number;
  readonly channelSums: readonly number[];
  readonly movingMin: number;
  readonly movingMax: number;
  readonly histogram: Omit<Histogram, 'counts'> & { readonly counts: readonly number[] };
}

/**
 * Streaming statistics of one tensor, [N, C, …].
 *
 * The histogram's bin width is the smallest power of two at which all values seen so far fit; it grows by merging
 * pairs of bins. Since bin edges are multiples of a power of two, merging is exact, and the result does not depend on the
 * order or the batching of the images.
 */
export class ActivationStatistics {
  /** Values and images seen. */
  count = 0;
  images = 0;
  min = Infinity;
  max = -Infinity;
  sumOfSquares = 0;
  /** Sum per channel (axis 1) over images and positions: float64. */
  channelSums = new Float64Array(0);
  /** Smallest and largest value of each image, averaged exponentially with `momentum`. */
  movingMin = 0;
  movingMax = 0;
  readonly #momentum: number;
  #zeros = 0;
  #binWidth = 0;
  #bins = new Float64Array(2 * BINS);

  /** @param momentum weight of a new image in the moving averages, in (0, 1] */
  constructor(momentum: number) {
    this.#momentum = momentum;
  }

  /**
   * Adds a batch.
   *
   * @param data [images, channels, …], row-major
   * @returns the first value that is NaN or infinite, or undefined; nothing of its batch counts then
   */
  add(data: Float32Array, shape: readonly number[]): number | undefined {
    const images = shape[0];
    const channels = shape[1] ?? 1;
    if (images === 0 || data.length === 0) return undefined;
    const plane = data.length / (images * channels);
    if (this.channelSums.length === 0) this.channelSums = new Float64Array(channels);
    const extremes = new Float64Array(2 * images);
    const sums = new Float64Array(channels);
    let squares = 0;
    for (let n = 0, i = 0; n < images; n++) {
      let min = Infinity;
      let max = -Infinity;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (const end = i + plane; i < end; i++) {
          const v = data[i];
          if (v < min) min = v;
          if (v > max) max = v;
          sum += v;
          squares += v * v;
        }
        sums[c] += sum;
      }
      extremes[2 * n] = min;
      extremes[2 * n + 1] = max;
    }
    // Sums of float32 values cannot overflow a float64: they are finite exactly where all values are.
    if (!sums.every(Number.isFinite)) return data.find((v) => !Number.isFinite(v));
    for (let c = 0; c < channels; c++) this.channelSums[c] += sums[c];
    for (let n = 0; n < images; n++) this.#addExtremes(extremes[2 * n], extremes[2 * n + 1]);
    this.sumOfSquares += squares;
    this.count += data.length;
    this.#widenTo(Math.max(-this.min, this.max));
    this.#fill(data);
    return undefined;
  }

  /** Statistics as they were when a file was written. */
  static restore(
    momentum: number,
    { histogram, channelSums, ...numbers }: KeptStatistics,
  ): ActivationStatistics {
    const result = new ActivationStatistics(momentum);
    Object.assign(result, numbers);
    result.channelSums = Float64Array.from(channelSums);
    result.#zeros = histogram.zeros;
    result.#binWidth = histogram.binWidth;
    result.#bins.set(histogram.counts, histogram.counts.length > 0 ? histogram.first + BINS : 0);
    return result;
  }

  /** Whether bins lie where those of a histogram may. */
  static holds({ first, counts }: { readonly first: number; readonly counts: ArrayLike<number> }): boolean {
    return Number.isInteger(first) && first >= -BINS && first + counts.length <= BINS;
  }

  /** Mean of each channel. */
  channelMeans(): Float64Array {
    const perChannel = this.count / this.channelSums.length;
    return this.channelSums.map((sum) => sum / perChannel);
  }

  /** A view of the histogram so far, without the empty bins at both ends. */
  histogram(): Histogram {
    const isFilled = (count: number): boolean => count > 0;
    const from = this.#bins.findIndex(isFilled);
    const to = this.#bins.findLastIndex(isFilled);
    return {
      counts: from < 0 ? new Float64Array(0) : this.#bins.subarray(from, to + 1),
      first: from < 0 ? 0 : from - BINS,
      binWidth: this.#binWidth,
      zeros: this.#zeros,
    };
  }

  #addExtremes(min: number, max: number): void {
    const weight = this.images === 0 ? 1 : this.#momentum;
    this.movingMin += weight * (min - this.movingMin);
    this.movingMax += weight * (max - this.movingMax);
    this.min = Math.min(this.min, min);
    this.max = Math.max(this.max, max);
    this.images++;
  }

  /** Makes the bins wide enough for |v| ≤ `magnitude`: all of them must lie strictly inside ±BINS · binWidth. */
  #widenTo(magnitude: number): void {
    if (magnitude === 0) return;
    // Starts below the bin width that the smallest float32 needs.
    let width = this.#binWidth === 0 ? 2 ** -170 : this.#binWidth;
    while (width * BINS <= magnitude) width *= 2;
    if (this.#binWidth === 0) this.#binWidth = width;
    while (this.#binWidth < width) {
      const merged = new Float64Array(2 * BINS);
      // Bin i starts at (i − BINS) widths; BINS is even, so that pairs of bins never straddle zero.
      for (let i = 0; i < 2 * BINS; i++) merged[(i + BINS) >> 1] += this.#bins[i];
      this.#bins = merged;
      this.#binWidth *= 2;
    }
  }

  #fill(data: Float32Array): void {
    const bins = this.#bins;
    const inverse = 1 / this.#binWidth;
    let zeros = 0;
    for (let i = 0; i < data.length; i++) {
      const v = data[i];
      if (v === 0) zeros++;
      else bins[Math.floor(v * inverse) + BINS]++;
    }
    this.#zeros += zeros;
  }
}
