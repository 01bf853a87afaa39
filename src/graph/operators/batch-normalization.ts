import { sameOrUnknown } from '../shapes.ts';
import { firstOutputOnly, without } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { float, int, since, until } from './signature.ts';

export const batchNormalization = defineOperator({
  op: 'BatchNormalization',
  inputs: [5, 5],
  outputs: 5,
  attributes: {
    epsilon: float(1e-5),
    momentum: float(0.9),
    spatial: until(9, int(1)),
    training_mode: since(14, int(0)),
  },
  role: 'pointwise',
  learned: [1, 2],
  note: '`lookup`, a table for each channel; without a QuantizeLinear before it, part of the convolution before it',
  normalize(node, context) {
    if (this.number(node, 'training_mode') !== 0) {
      context.problems.node(node, 'is in training mode: export the model for inference (model.eval())');
    }
    if (this.number(node, 'spatial') === 0) {
      context.problems.node(node, 'normalizes each pixel by itself (spatial = 0), which is not supported');
    }
    const attributes = without(node, 'training_mode', 'momentum', 'spatial');
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
  /** `(x − mean) / √(var + epsilon) · scale + bias` in float64. */
  channelwise(node, constants) {
    const [scale, bias, mean, variance] = node.inputs.slice(1).map(constants);
    if (!scale || !bias || !mean || !variance) return undefined;
    const epsilon = Math.fround(this.number(node, 'epsilon'));
    return (x, c) => ((x - mean[c]) / Math.sqrt(variance[c] + epsilon)) * scale[c] + bias[c];
  },
  /** Rounded once. */
  evaluate({ node, inputs, shape }) {
    const [x] = inputs;
    if (!isFloats(x) || !inputs.every(isFloats)) return undefined;
    const of = this.channelwise!(node, (name) => inputs[node.inputs.indexOf(name)]?.data);
    const [, channels = 1, ...spatial] = x.shape;
    const pixels = spatial.reduce((product, size) => product * size, 1);
    const data = x.data.map((value, i) => of!(value, Math.floor(i / pixels) % channels));
    return { dtype: 'float32', shape, data };
  },
});
