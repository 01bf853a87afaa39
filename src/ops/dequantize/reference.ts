import { visitElements } from '../../program/input.ts';
import { type DequantizeOperation, paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `table[q + 128]`, or `scale · q` of an accumulator, or of two `scale · (256 · high + low)`, rounded once to float32. */
export function dequantizeReference(operation: DequantizeOperation, context: ReferenceContext): void {
  const input = context.tensor(operation.inputs[0]);
  const x = context.buffer(input.id);
  const y = context.buffer(operation.output);
  const high = operation.inputs.length > 1 ? context.buffer(operation.inputs[1]) : undefined;
  const { table } = operation;
  const { scale } = input;
  const padded = paddedChannels(input.image[2]);
  const channelStep = table && table.length > 256 ? 256 : 0;
  visitElements(input, context.batch, (stored, logical) => {
    if (table) y[logical] = table[(stored % padded) * channelStep + x[stored] + 128];
    else {
      // The sum is exact in float64; its product with the scale is rounded there first.
      const acc = high ? 256 * high[stored] + x[stored] : x[stored];
      y[logical] = (typeof scale === 'number' ? scale : scale[stored % padded]) * acc;
    }
  });
}
