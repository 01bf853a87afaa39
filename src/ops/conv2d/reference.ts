import type { Conv2dOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import { requantize, rescaleSum } from '../../program/multiplier.ts';
import type { ReferenceContext } from '../operator.ts';
import { windowOutput } from '../window.ts';

/**
 * Convolution by gathering the window of a few output pixels at a time (im2col) and multiplying it with the
 * weights, both contiguous in the order (kernelH, kernelW, channel).
 */
export function conv2dReference(operation: Conv2dOperation, context: ReferenceContext): void {
  const input = context.tensor(operation.inputs[0]);
  const output = context.tensor(operation.output);
  const { groups, weights, weightZeroPoint, bias } = operation;
  const outChannels = bias.length;
  const groupOut = outChannels / groups;
  const groupIn = input.shape[2] / groups;
  const [height, width] = windowOutput(operation, input.shape);
  const k = operation.kernel[0] * operation.kernel[1] * groupIn;
  const acc = new Int32Array(height * width * outChannels);
  const patches = new Int8Array(PIXELS * k);
  for (let n = 0; n < context.batch; n++) {
    for (let group = 0; group < groups; group++) {
      for (let pixel = 0; pixel < height * width; pixel += PIXELS) {
        const pixels = Math.min(PIXELS, height * width - pixel);
        for (let p = 0; p < pixels; p++) {
          gather(operation, context, n, group * groupIn, groupIn, pixel + p, width, patches.subarray(p * k));
        }
        multiply(
          patches,
          weights,
          k,
          group * groupOut,
          groupOut,
          pixels,
          acc,
          pixel * outChannels,
          outChannels,
        );
        for (let p = 0; p < pixels; p++) {
          const window = patches.subarray(p * k, (p + 1) * k);
          const sum = weightZeroPoint ? window.reduce((total, x) => total + x, 0) : 0;
          for (let o = group * groupOut; o < (group + 1) * groupOut; o++) {
            acc[(pixel + p) * outChannels + o] += bias[o] - (weightZeroPoint ? weightZeroPoint[o] * sum : 0);
          }
        }
      }
    }
    if (operation.requantize) {
      storeRequantized(operation, context, n, acc, width);
    } else {
      const stored = paddedChannels(outChannels);
      const y = context
        .buffer(output.id)
        .subarray(n * height * width * stored, (n + 1) * height * width * stored);
      y.fill(0);
      for (let i = 0; i < height * width; i++) {
        y.set(acc.subarray(i * outChannels, (i + 1) * outChannels), i * stored);
      }
    }
  }
}

/** Output pixels that `multiply` takes at a time. */
const PIXELS = 2;

/** Copies the window of one output pixel, padding filled with the input's zero point. */
function gather(
  operation: Conv2dOperation,
  context: ReferenceContext,
  n: number,
  firstChannel: number,
  channels: number,
  pixel: number,
  outWidth: number,
  patch: Int8Array,
): void {
  const input = context.tensor(operation.inputs[0]);
  const x = context.buffer(input.id);
  const [height, width, inChannels] = input.shape;
  const stored = paddedChannels(inChannels);
  const { kernel, stride, pads, dilation } = operation;
  const top = Math.floor(pixel / outWidth) * stride[0] - pads[0];
  const left = (pixel % outWidth) * stride[1] - pads[1];
  let to = 0;
  for (let ky = 0; ky < kernel[0]; ky++) {
    const row = top + ky * dilation[0];
    for (let kx = 0; kx < kernel[1]; kx++) {
      const column = left + kx * dilation[1];
      const inside = row >= 0 && row < height && column >= 0 && column < width;
      const from = ((n * height + row) * width + column) * stored + firstChannel;
      for (let c = 0; c < channels; c++) patch[to++] = inside ? x[from + c] : input.zeroPoint;
    }
  }
}

/**
 * `acc[p, o] = Σ_k patches[p, k] · weights[o, k]` for `pixels` ≤ 2 patches and `outChannels` channels from
 * `firstOut`, in blocks of 2 × 4, so that each value loaded serves several products.
 */
function multiply(
  patches: Int8Array,
  weights: Int8Array,
  k: number,
  firstOut: number,
  outChannels: number,
  pixels: number,
  acc: Int32Array,
  accStart: number,
  accStride: number,
): void {
  const second = pixels > 1 ? k : 0;
  let o = firstOut;
  for (; o + 4 <= firstOut + outChannels; o += 4) {
    const w0 = o * k;
    const w1 = w0 + k;
    const w2 = w1 + k;
    const w3 = w2 + k;
    let a0 = 0;
    let a1 = 0;
    let a2 = 0;
    let a3 = 0;
    let b0 = 0;
    let b1 = 0;
    let b2 = 0;
    let b3 = 0;
    for (let i = 0; i < k; i++) {
      const x0 = patches[i];
      const x1 = patches[second + i];
      const v0 = weights[w0 + i];
      const v1 = weights[w1 + i];
      const v2 = weights[w2 + i];
      const v3 = weights[w3 + i];
      a0 = (a0 + x0 * v0) | 0;
      a1 = (a1 + x0 * v1) | 0;
      a2 = (a2 + x0 * v2) | 0;
      a3 = (a3 + x0 * v3) | 0;
      b0 = (b0 + x1 * v0) | 0;
      b1 = (b1 + x1 * v1) | 0;
      b2 = (b2 + x1 * v2) | 0;
      b3 = (b3 + x1 * v3) | 0;
    }
    const to = accStart + o;
    acc[to] = a0;
    acc[to + 1] = a1;
    acc[to + 2] = a2;
    acc[to + 3] = a3;
    if (pixels > 1) {
      acc[to + accStride] = b0;
      acc[to + accStride + 1] = b1;
      acc[to + accStride + 2] = b2;
      acc[to + accStride + 3] = b3;
    }
  }
  for (; o < firstOut + outChannels; o++) {
    for (let p = 0; p < pixels; p++) {
      let a = 0;
      for (let i = 0; i < k; i++) a = (a + patches[p * k + i] * weights[o * k + i]) | 0;
      acc[accStart + p * accStride + o] = a;
    }
  }
}

/** Requantizes one image's accumulators, then pools or adds the residual, and writes padded lanes. */
function storeRequantized(
  operation: Conv2dOperation,
  context: ReferenceContext,
  n: number,
  acc: Int32Array,
  width: number,
): void {
  const { mantissa, shift, zeroPoint, lo, hi } = operation.requantize!;
  const { residual } = operation;
  const output = context.tensor(operation.output);
  const y = context.buffer(output.id);
  const side = operation.residual ? context.buffer(operation.inputs[1]) : y;
  const [outHeight, outWidth, channels] = output.shape;
  const stored = paddedChannels(channels);
  const at = (row: number, column: number, c: number) =>
    requantize(acc[(row * width + column) * channels + c], mantissa[c], shift[c], zeroPoint, lo, hi);
  for (let row = 0; row < outHeight; row++) {
    for (let column = 0; column < outWidth; column++) {
      const to = ((n * outHeight + row) * outWidth + column) * stored;
      for (let c = 0; c < channels; c++) {
        if (operation.pool) {
          const above = Math.max(at(2 * row, 2 * column, c), at(2 * row, 2 * column + 1, c));
          const below = Math.max(at(2 * row + 1, 2 * column, c), at(2 * row + 1, 2 * column + 1, c));
          y[to + c] = Math.max(above, below);
        } else if (residual) {
          const own = (at(row, column, c) - residual.inputZeroPoints[0]) * residual.multipliers[0];
          const other = (side[to + c] - residual.inputZeroPoints[1]) * residual.multipliers[1];
          y[to + c] = rescaleSum(own + other, residual);
        } else {
          y[to + c] = at(row, column, c);
        }
      }
      y.fill(output.zeroPoint, to + channels, to + stored);
    }
  }
}
