import { requantize } from '../../program/multiplier.ts';
import { paddedChannels, type ReduceFunction, type ReduceOperation } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** What one more element makes of a result, from its difference to the zero point; maxima and minima from the element itself. */
const FOLDS: Readonly<Record<ReduceFunction, (result: number, difference: number, x: number) => number>> = {
  sum: (sum, difference) => sum + difference,
  sumOfMagnitudes: (sum, difference) => sum + Math.abs(difference),
  sumOfSquares: (sum, difference) => sum + difference * difference,
  max: (largest, _, x) => Math.max(largest, x),
  min: (smallest, _, x) => Math.min(smallest, x),
};

const START: Readonly<Record<ReduceFunction, number>> = {
  sum: 0,
  sumOfMagnitudes: 0,
  sumOfSquares: 0,
  max: -128,
  min: 127,
};

/** Folds all elements that lie along the reduced axes, exactly, and rounds once. */
export function reduceReference(operation: ReduceOperation, context: ReferenceContext): void {
  const fold = FOLDS[operation.function];
  const start = START[operation.function];
  const input = context.tensor(operation.inputs[0]);
  const output = context.tensor(operation.output);
  const x = context.buffer(input.id);
  const y = context.buffer(output.id);
  const [height, width, channels] = input.image;
  const [outHeight, outWidth, outChannels] = output.image;
  const [rows, columns, lanes] = operation.axes.map((isReduced, axis) => (isReduced ? input.image[axis] : 1));
  const stored = paddedChannels(channels);
  const outStored = paddedChannels(outChannels);
  for (let n = 0; n < context.batch; n++) {
    for (let h = 0; h < outHeight; h++) {
      for (let w = 0; w < outWidth; w++) {
        const to = ((n * outHeight + h) * outWidth + w) * outStored;
        for (let c = 0; c < outChannels; c++) {
          let acc = start;
          for (let row = h; row < h + rows; row++) {
            for (let column = w; column < w + columns; column++) {
              const at = ((n * height + row) * width + column) * stored;
              for (let lane = c; lane < c + lanes; lane++) {
                acc = fold(acc, x[at + lane] - input.zeroPoint, x[at + lane]);
              }
            }
          }
          y[to + c] = finished(acc, operation.finish);
        }
        y.fill(output.zeroPoint, to + outChannels, to + outStored);
      }
    }
  }
}

function finished(acc: number, finish: ReduceOperation['finish']): number {
  switch (finish.kind) {
    case 'select':
      return acc;
    case 'requantize': {
      const { mantissa, shift, zeroPoint, lo, hi } = finish.requantize;
      return requantize(acc, mantissa, shift, zeroPoint, lo, hi);
    }
    case 'thresholds':
      return finish.thresholds.reduce((y, least) => y + Number(acc >= least), finish.lo);
  }
}
