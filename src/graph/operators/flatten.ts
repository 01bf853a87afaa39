import type { Node } from '../graph.ts';
import { product } from '../shapes.ts';
import { type NormalizeContext, shapeOf } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { renamedValue } from './rename.ts';
import { int } from './signature.ts';

export const flatten = defineOperator({
  op: 'Flatten',
  inputs: [1, 1],
  attributes: { axis: int(1) },
  role: 'renames',
  homogeneous: true,
  shape({ shape }, _, node) {
    const axis = this.number(node, 'axis');
    const split = axis < 0 ? axis + shape.length : axis;
    if (!Number.isInteger(axis) || split < 0 || split > shape.length) {
      return `axis ${axis} is outside a tensor of shape [${shape}]`;
    }
    const name = node.outputs[0];
    return [product(shape.slice(0, split), `${name}.0`), product(shape.slice(split), `${name}.1`)];
  },
  evaluate: renamedValue,
});

/** Whether a node that renames gives [batch, everything else] of an image or more. */
export function isFlatten(node: Node, context: NormalizeContext): boolean {
  const from = shapeOf(context, node.inputs[0]);
  const to = shapeOf(context, node.outputs[0]);
  if (!from || from.length < 2 || to?.length !== 2 || from[0] !== to[0]) return false;
  const image = from.slice(1);
  return (
    image.every((dim) => typeof dim === 'number') && to[1] === image.reduce((total, dim) => total * dim, 1)
  );
}

export function asFlatten({ name, inputs, outputs, extras }: Node): Node {
  return {
    name,
    op: flatten.op,
    inputs: [inputs[0]],
    outputs,
    attributes: { axis: 1 },
    ...(extras && { extras }),
  };
}
