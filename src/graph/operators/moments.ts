/** Means and deviations of slices, for normalizations. Everything in float64, in row-major order. */

export interface Moments {
  readonly mean: number;
  readonly variance: number;
}

/** Mean and (biased) variance of `length` elements from `first` on; the second from what is left of the mean. */
export function momentsOf(data: Float32Array, first: number, length: number): Moments {
  let sum = 0;
  for (let i = first; i < first + length; i++) sum += data[i];
  const mean = sum / length;
  let squares = 0;
  for (let i = first; i < first + length; i++) squares += (data[i] - mean) * (data[i] - mean);
  return { mean, variance: squares / length };
}
