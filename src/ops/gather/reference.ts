import type { GatherOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `y[…, c] = x[…, channels[c]]`. */
export function gatherReference(operation: GatherOperation, context: ReferenceContext): void {
  const input = context.tensor(operation.inputs[0]);
  const output = context.tensor(operation.output);
  const x = context.buffer(input.id);
  const y = context.buffer(output.id);
  const [height, width, channels] = output.shape;
  const inStored = paddedChannels(input.shape[2]);
  const stored = paddedChannels(channels);
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    const to = pixel * stored;
    for (let c = 0; c < channels; c++) y[to + c] = x[pixel * inStored + operation.channels[c]];
    y.fill(output.zeroPoint, to + channels, to + stored);
  }
}
