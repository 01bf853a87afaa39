import { constantNumbers, resolveAxis } from '../attributes.ts';
import { splitSizes } from '../strided.ts';
import { int64, shapeOf } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { slice } from './slice.ts';
import { int, ints, since, until } from './signature.ts';

export const split = defineOperator({
  op: 'Split',
  inputs: [1, 2],
  outputs: Infinity,
  attributes: { axis: int(0), split: until(13, ints()), num_outputs: since(18, int()) },
  role: 'none',
  note: '`move`, one a part',
  /** Each part that is read is a Slice. */
  normalize(node, context) {
    const [input] = node.inputs;
    const shape = shapeOf(context, input);
    const axis = shape && resolveAxis(this.number(node, 'axis'), shape.length);
    const sizes =
      axis === undefined
        ? undefined
        : splitSizes(node, shape![axis], (name) => constantNumbers(context.graph, name));
    if (typeof sizes !== 'object') return [node];
    let start = 0;
    return sizes.flatMap((size, part) => {
      const output = node.outputs[part] ?? '';
      const bounds = { starts: start, ends: (start += size), axes: axis! };
      if (output === '' || !context.isRead(output)) return [];
      const name = part === 0 ? node.name : context.value(`${node.name}.${part}`);
      const inputs = Object.entries(bounds).map(([bound, value]) =>
        context.constant(`${node.name}.${part}.${bound}`, int64([value])),
      );
      return [{ name, op: slice.op, inputs: [input, ...inputs], outputs: [output], attributes: {} }];
    });
  },
  shape({ shape }, _, node, { numbers }) {
    const axis = resolveAxis(this.number(node, 'axis'), shape.length);
    if (axis === undefined) return `axis is outside a tensor of shape [${shape}]`;
    const sizes = splitSizes(node, shape[axis], numbers);
    return typeof sizes === 'object' ? { outputs: sizes.map((size) => shape.with(axis, size)) } : sizes;
  },
});
