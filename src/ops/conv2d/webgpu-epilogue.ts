/** The constants of a convolution's epilogue, as shaders/conv2d-epilogue.wgsl.ts reads them. */
import { CHANNEL_VECTORS, LAYER_VECTORS, recordLength } from '../../../shaders/conv2d-epilogue.wgsl.ts';
import type { Conv2dOperation, ProgramTensor } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import { packBytes } from '../gpu-dispatch.ts';
import type { WeightBits } from '../../program/weights.ts';
import { packMultiplier } from '../gpu-requantize.ts';
import { scaledEpilogue } from './stored-bits.ts';

/**
 * The `epilogue` constant of conv2d-epilogue.wgsl.ts.
 *
 * @param bits those of a stored weight
 * @param weightZeroPoint those that the kernel corrects for, or null where there are none or its weights have them subtracted
 */
export function packEpilogue(
  operation: Conv2dOperation,
  bits: WeightBits,
  weightZeroPoint: Int8Array | null,
  input: ProgramTensor,
): Int32Array {
  const { residual } = operation;
  const { bias, requantize } = scaledEpilogue(operation, bits);
  const words = paddedChannels(bias.length) / 4;
  const record = recordLength(weightZeroPoint !== null);
  const packed = new Int32Array((words * record + Object.keys(LAYER_VECTORS).length) * 4);
  for (let c = 0; c < words * 4; c++) {
    const at = (c >> 2) * record * 4 + (c & 3);
    const real = c < bias.length;
    if (real) packed[at + 4 * CHANNEL_VECTORS.bias] = bias[c];
    if (requantize) {
      const { zeroPoint, lo, hi } = requantize;
      const factor = packMultiplier(real ? requantize.mantissa[c] : 0, real ? requantize.shift[c] : 0);
      packed[at + 4 * CHANNEL_VECTORS.limit] = factor.limit;
      packed[at + 4 * CHANNEL_VECTORS.mantissa] = factor.mantissa;
      packed[at + 4 * CHANNEL_VECTORS.fields] = real
        ? packBytes(factor.exponent, zeroPoint, lo, hi)
        : packBytes(0, zeroPoint, zeroPoint, zeroPoint);
    }
    if (weightZeroPoint && real) packed[at + 4 * CHANNEL_VECTORS.weightZeroPoint] = weightZeroPoint[c];
  }
  const putLayer = (vector: keyof typeof LAYER_VECTORS, values: readonly number[]) => {
    packed.set(values, (words * record + LAYER_VECTORS[vector]) * 4);
  };
  putLayer('input', [packBytes(input.zeroPoint, input.zeroPoint, input.zeroPoint, input.zeroPoint)]);
  if (residual) {
    putLayer('factors', [...residual.multipliers, ...residual.inputZeroPoints]);
    putLayer('result', [residual.shift, residual.zeroPoint, residual.lo, residual.hi]);
  }
  return packed;
}
