import { requantize } from '../../program/multiplier.ts';
import type { ResizeOperation } from '../../program/program.ts';
import { paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `y = requantize(Σ_r Σ_c rowWeight[r] · columnWeight[c] · (x − z_x))`, the sum exact in int32. */
export function resizeReference(operation: ResizeOperation, context: ReferenceContext): void {
  const { rows, columns, requantize: q } = operation;
  const input = context.tensor(operation.inputs[0]);
  const output = context.tensor(operation.output);
  const x = context.buffer(input.id);
  const y = context.buffer(output.id);
  const [height, width, channels] = input.image;
  const [outHeight, outWidth] = output.image;
  const stored = paddedChannels(channels);
  for (let n = 0; n < context.batch; n++) {
    for (let h = 0; h < outHeight; h++) {
      for (let w = 0; w < outWidth; w++) {
        const to = ((n * outHeight + h) * outWidth + w) * stored;
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let r = h * rows.count; r < (h + 1) * rows.count; r++) {
            const row = (n * height + rows.places[r]) * width;
            let inner = 0;
            for (let k = w * columns.count; k < (w + 1) * columns.count; k++) {
              inner += columns.weights[k] * (x[(row + columns.places[k]) * stored + c] - input.zeroPoint);
            }
            sum += rows.weights[r] * inner;
          }
          y[to + c] = requantize(sum, q.mantissa, q.shift, q.zeroPoint, q.lo, q.hi);
        }
        y.fill(output.zeroPoint, to + channels, to + stored);
      }
    }
  }
}
