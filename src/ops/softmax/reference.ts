import { paddedChannels, type ScalarRequantize, type SoftmaxOperation } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `y = clamp(z + rne(e · mantissa / (2^shift · Σe)), lo, hi)`, `e` the exponential of a value less the largest of its pixel. */
export function softmaxReference(
  { inputs, output: outputId, exponentials, requantize }: SoftmaxOperation,
  context: ReferenceContext,
): void {
  const output = context.tensor(outputId);
  const x = context.buffer(inputs[0]);
  const y = context.buffer(outputId);
  const [height, width, channels] = output.image;
  const stored = paddedChannels(channels);
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    const at = pixel * stored;
    let largest = -128;
    for (let c = 0; c < channels; c++) largest = Math.max(largest, x[at + c]);
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += exponentials[largest - x[at + c]];
    for (let c = 0; c < channels; c++) {
      y[at + c] = quotient(exponentials[largest - x[at + c]], sum, requantize);
    }
    y.fill(output.zeroPoint, at + channels, at + stored);
  }
}

/** The product has up to 55 bits: it is divided 12 bits of the mantissa at a time, each dividend below 2⁴⁵. */
function quotient(
  exponential: number,
  sum: number,
  { mantissa, shift, zeroPoint, lo, hi }: ScalarRequantize,
): number {
  const high = exponential * Math.floor(mantissa / 4096);
  const low = (high % sum) * 4096 + exponential * (mantissa % 4096);
  const whole = Math.floor(high / sum) * 4096 + Math.floor(low / sum);
  const remainder = low % sum;
  // Rounded to nearest, ties to even, at bit `shift` of `whole` and a remainder behind it.
  const unit = 2 ** shift;
  const down = Math.floor(whole / unit);
  const beyondTie = shift === 0 ? 2 * remainder - sum : (whole % unit) - unit / 2 || remainder;
  const rounded = beyondTie > 0 || (beyondTie === 0 && down % 2 === 1) ? down + 1 : down;
  return Math.min(Math.max(zeroPoint + rounded, lo), hi);
}
