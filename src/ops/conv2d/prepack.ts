/** Layouts in which the convolution kernels read weights and constants. */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import { packBytes } from '../gpu-dispatch.ts';

/** [kernelH · kernelW · inWords][outWords][4] words: four input channels each, for four output channels. */
export function packWeights(operation: Conv2dOperation): Uint32Array {
  const { kernel, weights, bias } = operation;
  const outChannels = bias.length;
  const taps = kernel[0] * kernel[1];
  const channels = weights.length / (outChannels * taps);
  const words = paddedChannels(channels) / 4;
  const storedOut = paddedChannels(outChannels);
  const packed = new Uint8Array(taps * words * storedOut * 4);
  for (let o = 0; o < outChannels; o++) {
    for (let tap = 0; tap < taps; tap++) {
      for (let c = 0; c < channels; c++) {
        const k = tap * words + (c >> 2);
        packed[(k * storedOut + o) * 4 + (c & 3)] = weights[(o * taps + tap) * channels + c];
      }
    }
  }
  return new Uint32Array(packed.buffer);
}

/** [kernelH · kernelW · inChannels / groups][paddedOut] of w − z_w, one int32 each. */
export function packUnpackedWeights({ weights, weightZeroPoint, bias }: Conv2dOperation): Int32Array {
  const outChannels = bias.length;
  const storedOut = paddedChannels(outChannels);
  const k = weights.length / outChannels;
  const unpacked = new Int32Array(k * storedOut);
  for (let o = 0; o < outChannels; o++) {
    for (let i = 0; i < k; i++)
      unpacked[i * storedOut + o] = weights[o * k + i] - (weightZeroPoint?.[o] ?? 0);
  }
  return unpacked;
}

/**
 * How many steps of the quad kernel (a row of the kernel times a word of input channels) may follow one another in f32: as many as
 * keep every sum of |x · w| ≤ 128 · |w| within 2²⁴, up to which f32 holds every integer. Real weights are far from −128 everywhere, so
 * most layers need no flush at all.
 *
 * @param seen size of the kernel as the kernel sees it, which may take a dense layer over an image as a 1×1 one over more channels
 */
export function stepsToFlush(
  operation: Conv2dOperation,
  seen: readonly [height: number, width: number],
): number {
  const [kernelHeight, kernelWidth] = seen;
  const { kernel, weights, bias } = operation;
  const taps = kernel[0] * kernel[1];
  const channels = weights.length / (bias.length * taps);
  // Words of a tap as the kernel sees them: where it sees fewer taps than there are, several of ours make one of its.
  const words = ((paddedChannels(channels) / 4) * taps) / (kernelHeight * kernelWidth);
  const steps = kernelHeight * words;
  // Sums of |w| of each step, per output channel.
  const sums = new Uint32Array(bias.length * steps);
  for (let i = 0; i < weights.length; i++) {
    const word = Math.floor(i / channels) * (paddedChannels(channels) / 4) + ((i % channels) >> 2);
    sums[Math.floor(word / (words * kernelWidth)) * words + (word % words)] += Math.abs(weights[i]);
  }
  const limit = 2 ** 24 / 128;
  for (let parts = 1; parts < steps; parts++) {
    const size = Math.ceil(steps / parts);
    if (sums.every((_, at) => sumOf(sums, at, size, steps) <= limit)) return size;
  }
  return 1;
}

/** Sum of the `size` steps from `at` on, where a run of steps begins there, cut off at the end of the output channel. */
function sumOf(sums: Uint32Array, at: number, size: number, steps: number): number {
  const step = at % steps;
  if (step % size !== 0) return 0;
  let sum = 0;
  for (let i = 0; i < Math.min(size, steps - step); i++) sum += sums[at + i];
  return sum;
}

/** Beyond it |acc · m| saturates any int8: `requantizeWgsl` clips there, which bounds the product. */
const SATURATED = 2 ** 10;

/** One channel's `limit`, `mantissa` and shift for `requantizeWgsl`, the same function of acc as (mantissa, shift). */
export function packMultiplier(
  mantissa: number,
  shift: number,
): { readonly limit: number; readonly mantissa: number; readonly exponent: number } {
  // Shifts below 32 become left shifts of the clipped magnitude. That has room for 18 bits if the mantissa uses all of its 24.
  while (mantissa > 0 && mantissa < 2 ** 23 && shift < 32) {
    mantissa *= 2;
    shift += 1;
  }
  // A multiplier of 2⁹ or more saturates every accumulator but 0, however large it is; a mantissa of 0 is 0 at any shift.
  shift = Math.max(shift, mantissa === 0 ? 32 : 14);
  const limit = Math.min(2 ** 31, Math.floor((SATURATED * 2 ** shift) / mantissa));
  return { limit, mantissa, exponent: shift - 32 };
}

/**
 * The `epilogue` constant of conv2d-epilogue.wgsl.ts.
 *
 * @param weightZeroPoint those that the kernel corrects for, or null where there are none or its weights have them subtracted
 */
export function packEpilogue(
  { bias, requantize, residual }: Conv2dOperation,
  weightZeroPoint: Int8Array | null,
  input: ProgramTensor,
): Int32Array {
  const words = paddedChannels(bias.length) / 4;
  const record = weightZeroPoint ? 20 : 16;
  const packed = new Int32Array(words * record + 12);
  for (let word = 0; word < words; word++) {
    for (let lane = 0; lane < 4; lane++) {
      const c = word * 4 + lane;
      const at = word * record + lane;
      const real = c < bias.length;
      if (real) packed[at] = bias[c];
      if (requantize) {
        const { zeroPoint } = requantize;
        const factor = packMultiplier(real ? requantize.mantissa[c] : 0, real ? requantize.shift[c] : 0);
        packed[at + 4] = factor.limit;
        packed[at + 8] = factor.mantissa;
        packed[at + 12] = real
          ? packBytes(factor.exponent, zeroPoint, requantize.lo, requantize.hi)
          : packBytes(0, zeroPoint, zeroPoint, zeroPoint);
      }
      if (weightZeroPoint && real) packed[at + 16] = weightZeroPoint[c];
    }
  }
  const layer = words * record;
  packed[layer] = packBytes(input.zeroPoint, input.zeroPoint, input.zeroPoint, input.zeroPoint);
  if (residual) {
    packed.set([...residual.multipliers, ...residual.inputZeroPoints], layer + 4);
    packed.set([residual.shift, residual.zeroPoint, residual.lo, residual.hi], layer + 8);
  }
  return packed;
}
