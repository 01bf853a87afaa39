import { sameOrUnknown } from '../shapes.ts';
import { firstOutputOnly, without } from './normalize-context.ts';
import { type Value, defineOperator, isFloats } from './operator.ts';
import { float, int, since } from './signature.ts';

export const batchNormalization = defineOperator({
  op: 'BatchNormalization',
  inputs: [5, 5],
  outputs: 5,
  attributes: { epsilon: float(1e-5), momentum: float(0.9), training_mode: since(14, int(0)) },
  role: 'none',
  learned: [1, 2],
  note: 'in float models only: folded before quantization',
  remedy:
    'is left over from training: fold it into the convolution before quantizing (`octet quantize` does)',
  normalize(node, context) {
    if (this.number(node, 'training_mode') !== 0) {
      context.problems.node(node, 'is in training mode: export the model for inference (model.eval())');
    }
    const attributes = without(node, 'training_mode', 'momentum');
    return [{ ...firstOutputOnly(node, context, 'running statistics'), attributes }];
  },
  shape(x, parameters) {
    const channels = x.shape[1];
    if (channels === undefined) return `needs a tensor with channels, has shape [${x.shape}]`;
    for (const parameter of parameters) {
      if (parameter?.shape.length !== 1 || !sameOrUnknown(parameter.shape[0], channels)) {
        return `a parameter has shape [${parameter?.shape ?? []}], expected [${channels}]`;
      }
    }
    return x.shape;
  },
  /** `(x − mean) / √(var + epsilon) · scale + bias` in float64, rounded once. */
  evaluate({ node, inputs: [x, scale, bias, mean, variance], shape }) {
    if (![x, scale, bias, mean, variance].every(isFloats)) return undefined;
    const epsilon = Math.fround(this.number(node, 'epsilon'));
    const [, channels = 1, ...spatial] = x!.shape;
    const pixels = spatial.reduce((product, size) => product * size, 1);
    const at = (parameter: Value | undefined, c: number) => Number(parameter!.data[c]);
    const data = Float32Array.from(x!.data as Float32Array, (value, i) => {
      const c = Math.floor(i / pixels) % channels;
      return ((value - at(mean, c)) / Math.sqrt(at(variance, c) + epsilon)) * at(scale, c) + at(bias, c);
    });
    return { dtype: 'float32', shape, data };
  },
});
