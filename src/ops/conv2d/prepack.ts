/** Layouts in which the convolution kernels read weights and constants. */
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import { packBytes } from '../gpu-dispatch.ts';

/** [kernelH · kernelW · inWords][outWords][4] words: four input channels each, for four output channels. */
export function packWeights(operation: Conv2dOperation): Uint32Array {
  const { outChannels, taps, inChannels: channels } = operation.weights;
  const weights = operation.weights.rows();
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

/**
 * [outWords / block][kernelH][inWords][kernelW][block][4] words of four input channels: the order in which a kernel reads them that takes
 * `block` words of output channels at a time and a row of taps at a step. Rows of memory are then read from end to end.
 *
 * @param seen size of the kernel as the kernel sees it, which may take a dense layer over an image as a 1×1 one over more channels
 */
export function packBlockedWeights(
  operation: Conv2dOperation,
  seen: readonly [height: number, width: number],
  block: number,
): Uint32Array {
  const { bias } = operation;
  const { taps, inChannels: channels } = operation.weights;
  const weights = operation.weights.rows();
  const words = paddedChannels(channels) / 4;
  const [seenHeight, seenWidth] = seen;
  const seenWords = (taps * words) / (seenHeight * seenWidth);
  const rows = seenHeight * seenWords * seenWidth;
  const packed = new Uint8Array(paddedChannels(bias.length) * rows * 4);
  let from = 0;
  for (let o = 0; o < bias.length; o++) {
    const outWord = o >> 2;
    const start = Math.floor(outWord / block) * rows * block * 4 + (outWord % block) * 4 + (o & 3);
    for (let tap = 0; tap < taps; tap++) {
      for (let word = 0; word < words; word++) {
        const k = tap * words + word;
        const seenTap = Math.floor(k / seenWords);
        const [ky, kx] = [Math.floor(seenTap / seenWidth), seenTap % seenWidth];
        const row = (ky * seenWords + (k % seenWords)) * seenWidth + kx;
        const at = (start + row * block * 4) * 4;
        const count = Math.min(4, channels - word * 4);
        for (let i = 0; i < count; i++) packed[at + i] = weights[from++];
      }
    }
  }
  return new Uint32Array(packed.buffer);
}

/** [kernelH · kernelW · inChannels / groups][paddedOut] of w − z_w, one int32 each. */
export function packUnpackedWeights(operation: Conv2dOperation): Int32Array {
  const { outChannels, k, zeroPoint } = operation.weights;
  const weights = operation.weights.rows();
  const storedOut = paddedChannels(outChannels);
  const unpacked = new Int32Array(k * storedOut);
  for (let o = 0; o < outChannels; o++) {
    for (let i = 0; i < k; i++) unpacked[i * storedOut + o] = weights[o * k + i] - (zeroPoint?.[o] ?? 0);
  }
  return unpacked;
}

/** [kernelH · kernelW][outWords] words of four channels, for depthwise kernels. */
export function packDepthwiseWeights(operation: Conv2dOperation): Uint32Array {
  const { outChannels, taps } = operation.weights;
  const weights = operation.weights.rows();
  const storedOut = paddedChannels(outChannels);
  const packed = new Uint8Array(taps * storedOut);
  for (let o = 0; o < outChannels; o++) {
    for (let tap = 0; tap < taps; tap++) packed[tap * storedOut + o] = weights[o * taps + tap];
  }
  return new Uint32Array(packed.buffer);
}

/** Words of four input channels whose products, of at most 2¹⁴ each, add up to no more than 2²⁴: f32 holds every integer until then. */
export const EXACT_WORDS = 256;

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
  const limit = Math.min(2 ** 31 - 1, Math.floor((SATURATED * 2 ** shift) / mantissa));
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
