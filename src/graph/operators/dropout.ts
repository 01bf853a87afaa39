import { constantNumbers } from '../attributes.ts';
import type { Tensor } from '../graph.ts';
import { constantOfShape } from './constant-of-shape.ts';
import { defineOperator } from './operator.ts';
import { renamedValue } from './rename.ts';
import { shape } from './shape.ts';
import { float, int, since, until } from './signature.ts';

/** Does nothing in inference. */
export const dropout = defineOperator({
  op: 'Dropout',
  inputs: [1, 3],
  outputs: 2,
  attributes: { ratio: until(12, float(0.5)), seed: since(12, int()) },
  role: 'renames',
  normalize(node, context) {
    const [input = '', ratio = '', training = ''] = node.inputs;
    const mode = constantNumbers(context.graph, training)?.[0];
    // What drops nothing trains nothing.
    const isOff = training === '' || mode === 0 || constantNumbers(context.graph, ratio)?.[0] === 0;
    if (!isOff) {
      context.problems.node(node, 'is in training mode: export the model for inference (model.eval())');
    }
    const [output, mask = ''] = node.outputs;
    const call = { ...node, inputs: [input], outputs: [output], attributes: {} };
    if (mask === '' || !context.isRead(mask)) return [call];
    const sizes = context.value(`${mask}.shape`);
    const one: Tensor = { name: '', dtype: 'bool', shape: [1], data: Uint8Array.of(1) };
    const all = { op: constantOfShape.op, inputs: [sizes], outputs: [mask], attributes: { value: one } };
    return [
      call,
      {
        name: context.value(`${node.name}.shape`),
        op: shape.op,
        inputs: [input],
        outputs: [sizes],
        attributes: {},
      },
      { name: context.value(`${node.name}.mask`), ...all },
    ];
  },
  shape: (x) => ({ outputs: [x, { dtype: 'bool', shape: x.shape }] }),
  evaluate: renamedValue,
});
