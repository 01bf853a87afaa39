import type { LookupOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `y = table[x + 128]`, by the channel's own table where there are several. */
export function lookupReference(operation: LookupOperation, context: ReferenceContext): void {
  const output = context.tensor(operation.output);
  const x = context.buffer(operation.inputs[0]);
  const y = context.buffer(output.id);
  const [height, width, channels] = output.image;
  const stored = paddedChannels(channels);
  const channelStep = operation.table.length > 256 ? 256 : 0;
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    const at = pixel * stored;
    for (let c = 0; c < channels; c++) y[at + c] = operation.table[c * channelStep + x[at + c] + 128];
    y.fill(output.zeroPoint, at + channels, at + stored);
  }
}
