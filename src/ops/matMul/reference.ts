import { requantize } from '../../program/multiplier.ts';
import { type MatMulOperation, paddedChannels } from '../../program/program.ts';
import type { ReferenceContext } from '../operator.ts';

/** `y[r, m, n] = requantize(Σ_k (a[r, m, k] − z_a) · (b[r, n, k] − z_b))`, the sum exact in int32. */
export function matMulReference(operation: MatMulOperation, context: ReferenceContext): void {
  const { requantize: q } = operation;
  const [a, b] = operation.inputs.map((id) => context.tensor(id));
  const [aValues, bValues] = operation.inputs.map((id) => context.buffer(id));
  const output = context.tensor(operation.output);
  const y = context.buffer(output.id);
  const [rows, height, depth] = a.image;
  const [, width] = b.image;
  const stored = paddedChannels(depth);
  const outStored = paddedChannels(width);
  for (let row = 0; row < context.batch * rows; row++) {
    for (let m = 0; m < height; m++) {
      const from = (row * height + m) * stored;
      const to = (row * height + m) * outStored;
      for (let n = 0; n < width; n++) {
        const other = (row * width + n) * stored;
        let acc = 0;
        for (let k = 0; k < depth; k++) {
          acc += (aValues[from + k] - a.zeroPoint) * (bValues[other + k] - b.zeroPoint);
        }
        y[to + n] = q ? requantize(acc, q.mantissa, q.shift, q.zeroPoint, q.lo, q.hi) : acc;
      }
      y.fill(output.zeroPoint, to + width, to + outStored);
    }
  }
}
