import { resolveAxis } from '../attributes.ts';
import { broadcastTo, sizeOf } from './dense.ts';
import { momentsOf } from './moments.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float, int } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__LayerNormalization.html */
export const layerNormalization = defineOperator({
  op: 'LayerNormalization',
  since: 17,
  inputs: [2, 3],
  outputs: 3,
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  role: 'none',
  learned: [1, 2],
  macs: () => 0,
  shape({ shape }, _, node) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (axis === undefined) return `axis is outside a tensor of shape [${shape}]`;
    const reduced = shape.map((dim, i) => (i < axis ? dim : 1));
    return { outputs: [shape, reduced, reduced] };
  },
  /** `(x − mean) / √(variance + epsilon) · scale + bias` in float64, rounded once. */
  evaluate({ node, inputs: [x, scale, bias], output = 0, shape }) {
    const axis = x && resolveAxis(this.number(node, 'axis'), x.shape.length);
    if (!isFloats(x) || !isFloats(scale) || (bias && !isFloats(bias)) || axis === undefined) return undefined;
    const normalized = x.shape.slice(axis);
    const length = sizeOf(normalized);
    const epsilon = Math.fround(this.number(node, 'epsilon'));
    const factors = broadcastTo(scale, normalized) as Float32Array;
    const shifts = bias && (broadcastTo(bias, normalized) as Float32Array);
    const outer = length === 0 ? 0 : x.data.length / length;
    const data = new Float32Array(sizeOf(shape));
    for (let o = 0; o < outer; o++) {
      const { mean, variance } = momentsOf(x.data, o * length, length);
      const deviation = Math.sqrt(variance + epsilon);
      if (output > 0) data[o] = output === 1 ? mean : 1 / deviation;
      else {
        for (let i = 0; i < length; i++) {
          const at = o * length + i;
          data[at] = ((x.data[at] - mean) / deviation) * factors[i] + (shifts?.[i] ?? 0);
        }
      }
    }
    return { dtype: 'float32', shape, data };
  },
});
