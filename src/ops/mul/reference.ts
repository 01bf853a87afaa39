import { rescaleSum } from '../../program/multiplier.ts';
import type { MulOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** Product of two tensors, rescaled; a second one of a single pixel multiplies every pixel of its image. */
export function mulReference(operation: MulOperation, context: ReferenceContext): void {
  const { multipliers, inputZeroPoints } = operation.rescale;
  const output = context.tensor(operation.output);
  const [a, b] = operation.inputs.map((id) => context.buffer(id)) as [Int8Array, Int8Array];
  const y = context.buffer(output.id);
  const [height, width, channels] = output.shape;
  const stored = paddedChannels(channels);
  const [otherHeight, otherWidth] = context.tensor(operation.inputs[1]).shape;
  const pixels = height * width;
  const repeats = pixels / (otherHeight * otherWidth);
  for (let pixel = 0; pixel < context.batch * pixels; pixel++) {
    const at = pixel * stored;
    const other = Math.floor(pixel / repeats) * stored;
    for (let c = 0; c < channels; c++) {
      const product = (a[at + c] - inputZeroPoints[0]) * (b[other + c] - inputZeroPoints[1]);
      y[at + c] = rescaleSum(product * multipliers[0], operation.rescale);
    }
    y.fill(output.zeroPoint, at + channels, at + stored);
  }
}
