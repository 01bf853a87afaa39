import { roundHalfToEven } from '../../program/multiplier.ts';
import { type NormalizeOperation, paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** Group by group: the sums, exactly; the reciprocal root; each value. */
export function normalizeReference(operation: NormalizeOperation, context: ReferenceContext): void {
  const { inputs, output: outputId, isSpatial, groupChannels, isCentred, offset } = operation;
  const output = context.tensor(outputId);
  const x = context.buffer(inputs[0]);
  const y = context.buffer(outputId);
  const [height, width, channels] = output.image;
  const stored = paddedChannels(channels);
  const pixels = isSpatial ? height * width : 1;
  const count = pixels * groupChannels;
  y.fill(output.zeroPoint);
  for (let first = 0; first < context.batch * height * width; first += pixels) {
    for (let channel = 0; channel < channels; channel += groupChannels) {
      const places = Array.from({ length: count }, (_, i) => {
        const c = channel + (i % groupChannels);
        return { c, at: (first + Math.floor(i / groupChannels)) * stored + c };
      });
      let [sum, squares] = [0, 0];
      for (const { at } of places) {
        const u = x[at] - offset;
        if (isCentred) sum += u;
        squares += u * u;
      }
      const root = rootOf(sum, squares, count, operation);
      for (const { at, c } of places) {
        y[at] = normalized(count * (x[at] - offset) - sum, c, root, operation);
      }
    }
  }
}

/** `1/√V` as `r · 2^−(30 + j)`, r of 16 bits. */
function rootOf(
  sum: number,
  squares: number,
  count: number,
  { epsilon, varianceBits }: NormalizeOperation,
): { readonly r: number; readonly j: number } {
  const spread = BigInt(count) * BigInt(squares) - BigInt(sum) * BigInt(sum);
  const scaled = (spread << BigInt(varianceBits)) + BigInt(epsilon);
  const variance = scaled > 0n ? scaled : 1n;
  const j = Math.ceil((variance.toString(2).length - 30) / 2);
  const w = j > 0 ? variance >> BigInt(2 * j) : variance << BigInt(-2 * j);
  let r = 0;
  for (let bit = 2 ** 15; bit >= 1; bit /= 2) {
    const more = BigInt(r + bit);
    if (more * (more - 1n) * w < 2n ** 60n) r += bit;
  }
  return { r, j };
}

function normalized(
  difference: number,
  c: number,
  { r, j }: { readonly r: number; readonly j: number },
  { droppedBits, rootBits, gamma, beta, shift, zeroPoint, lo, hi }: NormalizeOperation,
): number {
  const d = Math.floor(difference / 2 ** droppedBits) * 2 ** (rootBits - j);
  const t = Math.floor((d * r + 2 ** 14) / 2 ** 15);
  const steps = Math.floor((t * gamma[c] + 2 ** 15) / 2 ** 16) + beta[c];
  const q = zeroPoint + roundHalfToEven(steps / 2 ** shift);
  return Math.min(Math.max(q, lo), hi);
}
