import { rescaleSum } from '../../program/multiplier.ts';
import type { ConcatOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/**
 * Channels of the inputs one after the other, without the inputs' padding, each rescaled to the output's
 * scale.
 */
export function concatReference(operation: ConcatOperation, context: ReferenceContext): void {
  const output = context.tensor(operation.output);
  const y = context.buffer(output.id);
  const [height, width, channels] = output.shape;
  const stored = paddedChannels(channels);
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    let to = pixel * stored;
    for (const [i, id] of operation.inputs.entries()) {
      const rescale = operation.rescales[i];
      const inChannels = context.tensor(id).shape[2];
      const x = context.buffer(id);
      const from = pixel * paddedChannels(inChannels);
      for (let c = 0; c < inChannels; c++) {
        y[to++] = rescaleSum((x[from + c] - rescale.inputZeroPoints[0]) * rescale.multipliers[0], rescale);
      }
    }
    y.fill(output.zeroPoint, to, (pixel + 1) * stored);
  }
}
