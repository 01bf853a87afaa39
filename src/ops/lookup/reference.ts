import type { LookupOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `y = table[x + 128]`. */
export function lookupReference(operation: LookupOperation, context: ReferenceContext): void {
  const output = context.tensor(operation.output);
  const x = context.buffer(operation.inputs[0]);
  const y = context.buffer(output.id);
  const [height, width, channels] = output.image;
  const stored = paddedChannels(channels);
  for (let pixel = 0; pixel < context.batch * height * width; pixel++) {
    const at = pixel * stored;
    for (let i = at; i < at + channels; i++) y[i] = operation.table[x[i] + 128]!;
    y.fill(output.zeroPoint, at + channels, at + stored);
  }
}
