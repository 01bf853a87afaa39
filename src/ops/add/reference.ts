import { rescaleSum } from '../../program/multiplier.ts';
import type { AddOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** Sum of two tensors of one shape, each rescaled, summed exactly, rounded once. */
export function addReference(operation: AddOperation, context: ReferenceContext): void {
  const { multipliers, inputZeroPoints } = operation.rescale;
  const output = context.tensor(operation.output);
  const [a, b] = operation.inputs.map((id) => context.buffer(id)) as [Int8Array, Int8Array];
  const y = context.buffer(output.id);
  const [height, width, channels] = output.shape;
  const stored = paddedChannels(channels);
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    const at = pixel * stored;
    for (let i = at; i < at + channels; i++) {
      const sum = (a[i] - inputZeroPoints[0]) * multipliers[0] + (b[i] - inputZeroPoints[1]) * multipliers[1];
      y[i] = rescaleSum(sum, operation.rescale);
    }
    y.fill(output.zeroPoint, at + channels, at + stored);
  }
}
