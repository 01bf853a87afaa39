import { offsetAt } from '../../program/move.ts';
import type { MoveOperation } from '../../program/program.ts';
import { byteCount, elementCount, paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** Each element of each part's box is the one that the part's source names, through its table; or the fill. */
export function moveReference(operation: MoveOperation, context: ReferenceContext): void {
  const output = context.tensor(operation.output);
  const y = context.buffer(output.id);
  const [height, width, channels] = output.image;
  const stored = paddedChannels(channels);
  y.fill(output.zeroPoint, 0, elementCount(output, context.batch));
  for (const [i, { first, size, source, table }] of operation.parts.entries()) {
    const input = context.tensor(operation.inputs[i]);
    const x = context.buffer(input.id);
    const imageBytes = byteCount(input, 1);
    for (let n = 0; n < context.batch; n++) {
      for (let h = 0; h < size[0]; h++) {
        for (let w = 0; w < size[1]; w++) {
          const to = ((n * height + first[0] + h) * width + first[1] + w) * stored + first[2];
          for (let c = 0; c < size[2]; c++) {
            const offset = offsetAt(source, size[1], size[2], h, w, c);
            const q = offset < 0 ? undefined : x[n * imageBytes + offset];
            y[to + c] = q === undefined ? operation.fill : table ? table[q + 128] : q;
          }
        }
      }
    }
  }
}
