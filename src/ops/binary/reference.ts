import { rescaleSum } from '../../program/multiplier.ts';
import type { BinaryOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** Sum or product of two tensors, exact in int32, rounded once; a second one of a single pixel meets every pixel of its image. */
export function binaryReference(operation: BinaryOperation, context: ReferenceContext): void {
  const { multipliers, inputZeroPoints } = operation.rescale;
  const isSum = operation.function === 'sum';
  const output = context.tensor(operation.output);
  const [a, b] = operation.inputs.map((id) => context.buffer(id)) as [Int8Array, Int8Array];
  const y = context.buffer(output.id);
  const [height, width, channels] = output.image;
  const stored = paddedChannels(channels);
  const [otherHeight, otherWidth] = context.tensor(operation.inputs[1]).image;
  const pixels = height * width;
  const repeats = pixels / (otherHeight * otherWidth);
  for (let pixel = 0; pixel < context.batch * pixels; pixel++) {
    const at = pixel * stored;
    const other = Math.floor(pixel / repeats) * stored;
    for (let c = 0; c < channels; c++) {
      const first = a[at + c] - inputZeroPoints[0];
      const second = b[other + c] - inputZeroPoints[1];
      const exact = isSum
        ? first * multipliers[0] + second * multipliers[1]
        : first * second * multipliers[0];
      y[at + c] = rescaleSum(exact, operation.rescale);
    }
    y.fill(output.zeroPoint, at + channels, at + stored);
  }
}
