import type { MaxPool2dOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';
import { visitWindow } from '../window.ts';

/** Largest value of each window. Padding takes no part, so it never wins. */
export function maxPool2dReference(operation: MaxPool2dOperation, context: ReferenceContext): void {
  const input = context.tensor(operation.inputs[0]);
  const output = context.tensor(operation.output);
  const x = context.buffer(input.id);
  const y = context.buffer(output.id);
  const [height, width, channels] = input.image;
  const [outHeight, outWidth] = output.image;
  const stored = paddedChannels(channels);
  for (let n = 0; n < context.batch; n++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        const to = ((n * outHeight + row) * outWidth + column) * stored;
        y.fill(-128, to, to + channels);
        y.fill(output.zeroPoint, to + channels, to + stored);
        visitWindow(operation, input.image, row, column, (inRow, inColumn) => {
          const from = ((n * height + inRow) * width + inColumn) * stored;
          for (let c = 0; c < channels; c++) y[to + c] = Math.max(y[to + c], x[from + c]);
        });
      }
    }
  }
}
