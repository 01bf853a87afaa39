import { sameOrUnknown } from '../shapes.ts';
import { firstOutputOnly, without } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
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
});
