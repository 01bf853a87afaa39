import { constantNumbers } from '../attributes.ts';
import { sameShape } from './elementwise.ts';
import { firstOutputOnly } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { renamedValue } from './rename.ts';
import { float, int, since, until } from './signature.ts';

/** Does nothing in inference. */
export const dropout = defineOperator({
  op: 'Dropout',
  inputs: [1, 3],
  outputs: 2,
  attributes: { ratio: until(12, float(0.5)), seed: since(12, int()) },
  role: 'renames',
  normalize(node, context) {
    const [input = '', , training = ''] = node.inputs;
    const mode = constantNumbers(context.graph, training)?.[0];
    if (training !== '' && mode !== 0) {
      context.problems.node(node, 'is in training mode: export the model for inference (model.eval())');
    }
    return [{ ...firstOutputOnly(node, context, 'masks'), inputs: [input], attributes: {} }];
  },
  shape: sameShape,
  evaluate: renamedValue,
});
