import { resolveAxis } from '../attributes.ts';
import { broadcastTo, sizeOf } from './dense.ts';
import { sameShape } from './elementwise.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float, int } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__RMSNormalization.html */
export const rmsNormalization = defineOperator({
  op: 'RMSNormalization',
  since: 23,
  inputs: [2, 2],
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  role: 'none',
  shape: sameShape,
  /** `x / √(mean of x² + epsilon) · scale` in float64, rounded once. */
  evaluate({ node, inputs: [x, scale], shape }) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (!isFloats(x) || !isFloats(scale) || axis === undefined) return undefined;
    const normalized = shape.slice(axis);
    const length = sizeOf(normalized);
    const epsilon = Math.fround(this.number(node, 'epsilon'));
    const factors = broadcastTo(scale, normalized) as Float32Array;
    const data = new Float32Array(x.data.length);
    for (let first = 0; first < data.length; first += length) {
      let squares = 0;
      for (let i = first; i < first + length; i++) squares += x.data[i] * x.data[i];
      const root = Math.sqrt(squares / length + epsilon);
      for (let i = 0; i < length; i++) data[first + i] = (x.data[first + i] / root) * factors[i];
    }
    return { dtype: 'float32', shape, data };
  },
});
