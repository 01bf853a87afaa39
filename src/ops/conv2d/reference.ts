import type { Conv2dOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import { requantize, rescaleSum } from '../../program/multiplier.ts';
import type { ReferenceContext } from '../operator.ts';
import { windowOutput } from '../window.ts';

/** `acc = Σ x · (w − z_w) + b`, then requantized, pooled or added to the residual (see `Conv2dOperation`). */
export function conv2dReference(operation: Conv2dOperation, context: ReferenceContext): void {
  const [height, width] = windowOutput(operation, context.tensor(operation.inputs[0]).image);
  const { outChannels } = operation.weights;
  const acc = new Int32Array(height * width * outChannels);
  for (let n = 0; n < context.batch; n++) {
    accumulate(operation, context, n, [height, width], acc);
    if (operation.requantize) storeRequantized(operation, context, n, acc, width);
    else storeAccumulators(operation, context, n, acc);
  }
}

/** Fills `acc`, [height][width][outChannels], for one image. */
function accumulate(
  operation: Conv2dOperation,
  context: ReferenceContext,
  n: number,
  [outHeight, outWidth]: readonly [number, number],
  acc: Int32Array,
): void {
  const input = context.tensor(operation.inputs[0]);
  const x = context.buffer(input.id);
  const [height, width, channels] = input.image;
  const stored = paddedChannels(channels);
  const { kernel, stride, pads, dilation, groups, bias } = operation;
  const { outChannels, inChannels, k, zeroPoint } = operation.weights;
  const weights = operation.weights.rows();
  for (let row = 0, to = 0; row < outHeight; row++) {
    for (let column = 0; column < outWidth; column++) {
      for (let o = 0; o < outChannels; o++, to++) {
        const group = Math.floor((o * groups) / outChannels);
        const z = zeroPoint ? zeroPoint[o] : 0;
        let sum = bias[o];
        let w = o * k;
        for (let ky = 0; ky < kernel[0]; ky++) {
          const inRow = row * stride[0] - pads[0] + ky * dilation[0];
          for (let kx = 0; kx < kernel[1]; kx++) {
            const inColumn = column * stride[1] - pads[1] + kx * dilation[1];
            const from = ((n * height + inRow) * width + inColumn) * stored + group * inChannels;
            const isInside = inRow >= 0 && inRow < height && inColumn >= 0 && inColumn < width;
            // Math.imul: products of integers that may be 0 and negative, which `*` would make floats of.
            if (isInside) {
              for (let c = 0; c < inChannels; c++, w++) sum += Math.imul(x[from + c], weights[w] - z);
            } else {
              for (let c = 0; c < inChannels; c++, w++) sum += Math.imul(input.zeroPoint, weights[w] - z);
            }
          }
        }
        acc[to] = sum;
      }
    }
  }
}

function storeAccumulators(
  operation: Conv2dOperation,
  context: ReferenceContext,
  n: number,
  acc: Int32Array,
): void {
  const channels = operation.weights.outChannels;
  const stored = paddedChannels(channels);
  const pixels = acc.length / channels;
  const y = context.buffer(operation.output).subarray(n * pixels * stored, (n + 1) * pixels * stored);
  y.fill(0);
  for (let i = 0; i < pixels; i++) y.set(acc.subarray(i * channels, (i + 1) * channels), i * stored);
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
  const [outHeight, outWidth, channels] = output.image;
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
