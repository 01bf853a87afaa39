import { visitElements } from '../../program/input.ts';
import { type DequantizeOperation, paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `table[q + 128]`, or `scale · q` of an accumulator, rounded once to float32. */
export function dequantizeReference(operation: DequantizeOperation, context: ReferenceContext): void {
  const input = context.tensor(operation.inputs[0]);
  const x = context.buffer(input.id);
  const y = context.buffer(operation.output);
  const { table } = operation;
  const { scale } = input;
  const padded = paddedChannels(input.image[2]);
  const channelStep = table && table.length > 256 ? 256 : 0;
  visitElements(input, context.batch, (stored, logical) => {
    if (table) y[logical] = table[(stored % padded) * channelStep + x[stored] + 128];
    else y[logical] = (typeof scale === 'number' ? scale : scale[stored % padded]) * x[stored];
  });
}
