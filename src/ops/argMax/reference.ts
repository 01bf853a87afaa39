import { type ArgMaxOperation, paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** The first channel, or the last, whose value no other exceeds. */
export function argMaxReference(
  { inputs, output, function: of, isLast }: ArgMaxOperation,
  context: ReferenceContext,
): void {
  const x = context.buffer(inputs[0]);
  const y = context.buffer(output);
  const channels = context.tensor(inputs[0]).image[2];
  const stored = paddedChannels(channels);
  const sign = of === 'max' ? 1 : -1;
  for (let pixel = 0; pixel < y.length; pixel++) {
    let best = 0;
    for (let c = 1; c < channels; c++) {
      const more = sign * (x[pixel * stored + c] - x[pixel * stored + best]);
      if (more > 0 || (isLast && more === 0)) best = c;
    }
    y[pixel] = best;
  }
}
