import { roundHalfToEven } from '../../program/multiplier.ts';
import { type LogSoftmaxOperation, paddedChannels } from '../../program/program.ts';
import { exponentialBits } from '../exponentials.ts';
import type { ReferenceContext } from '../operator.ts';

/** `y = clamp(z − rne((steps[d] + L(Σe)) · 2^−shift), lo, hi)`, `d` the largest value of the pixel less each. */
export function logSoftmaxReference(operation: LogSoftmaxOperation, context: ReferenceContext): void {
  const { inputs, output: outputId, exponentials, steps, shift, zeroPoint, lo, hi } = operation;
  const x = context.buffer(inputs[0]);
  const y = context.buffer(outputId);
  const [height, width, channels] = context.tensor(outputId).image;
  const stored = paddedChannels(channels);
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    const at = pixel * stored;
    let largest = -128;
    for (let c = 0; c < channels; c++) largest = Math.max(largest, x[at + c]);
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += exponentials[largest - x[at + c]];
    const logarithm = logarithmOf(sum, channels, operation);
    for (let c = 0; c < channels; c++) {
      const q = zeroPoint - roundHalfToEven((steps[largest - x[at + c]] + logarithm) / 2 ** shift);
      y[at + c] = Math.min(Math.max(q, lo), hi);
    }
    y.fill(zeroPoint, at + channels, at + stored);
  }
}

/**
 * `ln(sum · 2^−bits)` in the units of the tables: with `sum = 2^e · (1 + i/256 + f/2²⁴ + …)`, `i` 8 bits and `f` 16,
 * `(e − bits) · T[256] + T[i] + ⌊(T[i + 1] − T[i]) · f / 2¹⁶⌋`.
 */
function logarithmOf(sum: number, length: number, { logarithms }: LogSoftmaxOperation): number {
  const zeros = Math.clz32(sum);
  const normalized = sum * 2 ** zeros;
  const i = Math.floor(normalized / 2 ** 23) - 256;
  const f = Math.floor(normalized / 2 ** 7) % 2 ** 16;
  const slope = logarithms[i + 1] - logarithms[i];
  const exponent = 31 - zeros - exponentialBits(length);
  return exponent * logarithms[256] + logarithms[i] + Math.floor((slope * f) / 2 ** 16);
}
