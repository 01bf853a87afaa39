import type { ConstantOperation } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** The values, once for each image of the batch. */
export function constantReference({ output, values }: ConstantOperation, context: ReferenceContext): void {
  const y = context.buffer(output);
  for (let n = 0; n < context.batch; n++) y.set(values, n * values.length);
}
