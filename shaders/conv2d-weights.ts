/**
 * How a kernel's text reads weights: the layout in which they are packed (src/ops/conv2d/webgpu-layouts.ts) brings the text, so that the kernel is
 * the same whatever the layout stores.
 */

/** Weights as a matrix: one row for each step along K, output channels in words of four. */
export interface MatrixWeightsWgsl {
  /** Declares binding 1. */
  readonly declaration: string;
  /** What the kernel multiplies by in row `k`, for word `word` of the output channels: WGSL expressions of u32, a sum as `k` in parentheses. */
  load(k: string, word: string): string;
}

/** Weights in blocks of output channels, in the order in which the four lanes of a quad read them: row after row of taps. */
export interface BlockedWeightsWgsl {
  /** Declares binding 1. */
  readonly declaration: string;
  /** A statement that names the place of the lane's weights in a row; `row` is a WGSL expression of u32. Wants `lane`. */
  begin(name: string, row: string): string;
  /** The word of four input channels for the lane's channel in word `index` of the row: taps first, then words of output channels. */
  load(name: string, index: number): string;
}
