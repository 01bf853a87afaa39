import { sameOrUnknown } from '../shapes.ts';
import { sizeOf } from './dense.ts';
import { momentsOf } from './moments.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html */
export const instanceNormalization = defineOperator({
  op: 'InstanceNormalization',
  inputs: [3, 3],
  attributes: { epsilon: float(1e-5) },
  role: 'none',
  learned: [1, 2],
  macs: () => 0,
  shape({ shape }, parameters) {
    const channels = shape[1];
    if (shape.length < 3) return `needs a tensor [N, C, …], has [${shape}]`;
    const wrong = parameters.find(
      (each) => each?.shape.length !== 1 || !sameOrUnknown(each.shape[0], channels),
    );
    return wrong ? `a parameter has shape [${wrong.shape}], expected [${channels}]` : shape;
  },
  /** `(x − mean) / √(variance + epsilon) · scale + bias` in float64, rounded once. */
  evaluate({ node, inputs: [x, scale, bias], shape }) {
    if (!isFloats(x) || !isFloats(scale) || !isFloats(bias)) return undefined;
    const epsilon = Math.fround(this.number(node, 'epsilon'));
    const [images, channels, ...spatial] = shape;
    const pixels = sizeOf(spatial);
    const data = new Float32Array(x.data.length);
    for (let plane = 0; plane < images * channels; plane++) {
      const { mean, variance } = momentsOf(x.data, plane * pixels, pixels);
      const deviation = Math.sqrt(variance + epsilon);
      const c = plane % channels;
      for (let i = plane * pixels; i < (plane + 1) * pixels; i++)
        data[i] = ((x.data[i] - mean) / deviation) * scale.data[c] + bias.data[c];
    }
    return { dtype: 'float32', shape, data };
  },
});
