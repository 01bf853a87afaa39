import { rescaleSum } from '../../program/multiplier.ts';
import type { AveragePool2dOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';
import { countedTaps, visitWindow } from '../window.ts';

/**
 * Mean of each window: the exact sum of `x − zeroPoint`, times the multiplier for the window's count, rounded
 * once.
 */
export function averagePool2dReference(operation: AveragePool2dOperation, context: ReferenceContext): void {
  const { rescale, countIncludePad } = operation;
  const input = context.tensor(operation.inputs[0]);
  const output = context.tensor(operation.output);
  const x = context.buffer(input.id);
  const y = context.buffer(output.id);
  const [height, width, channels] = input.image;
  const [outHeight, outWidth] = output.image;
  const stored = paddedChannels(channels);
  const sums = new Int32Array(channels);
  for (let n = 0; n < context.batch; n++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        sums.fill(0);
        let inside = 0;
        visitWindow(operation, input.image, row, column, (inRow, inColumn) => {
          const from = ((n * height + inRow) * width + inColumn) * stored;
          for (let c = 0; c < channels; c++) sums[c] += x[from + c] - rescale.inputZeroPoints[0];
          inside++;
        });
        const count = countIncludePad ? countedTaps(operation, input.image, row, column) : inside;
        const multiplier = rescale.multipliers[count - 1];
        const to = ((n * outHeight + row) * outWidth + column) * stored;
        for (let c = 0; c < channels; c++) y[to + c] = rescaleSum(sums[c] * multiplier, rescale);
        y.fill(output.zeroPoint, to + channels, to + stored);
      }
    }
  }
}
