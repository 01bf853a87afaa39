import { sizeOf } from './dense.ts';
import { momentsOf } from './moments.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float, int, required, since } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__GroupNormalization.html */
export const groupNormalization = defineOperator({
  op: 'GroupNormalization',
  since: 18,
  inputs: [3, 3],
  attributes: { epsilon: float(1e-5), num_groups: required(int()), stash_type: since(21, int(1)) },
  role: 'none',
  learned: [1, 2],
  macs: () => 0,
  shape({ shape }, [scale], node) {
    const groups = this.number(node, 'num_groups');
    const channels = Number(shape[1]);
    if (shape.length < 2 || !(groups >= 1) || channels % groups !== 0)
      return `${groups} groups do not fit the channels of [${shape}]`;
    // One a channel since opset 21, one a group before.
    const parameters = Number(scale?.shape[0]);
    if (parameters !== channels && parameters !== groups)
      return `its scale has shape [${scale?.shape ?? []}], expected [${channels}] or [${groups}]`;
    return shape;
  },
  /** `(x − mean) / √(variance + epsilon) · scale + bias` in float64, rounded once. */
  evaluate({ node, inputs: [x, scale, bias], shape }) {
    if (!isFloats(x) || !isFloats(scale) || !isFloats(bias)) return undefined;
    const groups = this.number(node, 'num_groups');
    const epsilon = Math.fround(this.number(node, 'epsilon'));
    const [images, channels, ...spatial] = shape;
    const pixels = sizeOf(spatial);
    const perGroup = channels / groups;
    const length = perGroup * pixels;
    const data = new Float32Array(x.data.length);
    for (let part = 0; part < images * groups; part++) {
      const { mean, variance } = momentsOf(x.data, part * length, length);
      const deviation = Math.sqrt(variance + epsilon);
      for (let i = 0; i < length; i++) {
        const at = part * length + i;
        const channel = (part % groups) * perGroup + Math.floor(i / pixels);
        const c = scale.data.length === channels ? channel : part % groups;
        data[at] = ((x.data[at] - mean) / deviation) * scale.data[c] + bias.data[c];
      }
    }
    return { dtype: 'float32', shape, data };
  },
});
