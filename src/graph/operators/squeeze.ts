import { constantNumbers } from '../attributes.ts';
import { resolveAxes } from '../shapes.ts';
import { asFlatten, isFlatten } from './flatten.ts';
import { axesAsInput } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { renamedSizes, renamedValue } from './rename.ts';
import { ints, until } from './signature.ts';

export const squeeze = defineOperator({
  op: 'Squeeze',
  inputs: [1, 2],
  attributes: { axes: until(13, ints()) },
  role: 'renames',
  /** Dropping H and W of a pooled image is flattening it. */
  normalize: (node, context) => [isFlatten(node, context) ? asFlatten(node) : axesAsInput(node, context)],
  shape({ shape }, _, node, { graph }) {
    const given = constantNumbers(graph, node.inputs[1]) ?? node.attributes.axes;
    if (!Array.isArray(given)) return node.inputs[1] ? undefined : shape.filter((dim) => dim !== 1);
    const axes = resolveAxes(given as number[], shape.length);
    if (typeof axes === 'string') return axes;
    const wrong = [...axes].find((axis) => shape[axis] !== 1);
    if (wrong !== undefined) return `axis ${wrong} of shape [${shape}] is not 1`;
    return shape.filter((_, axis) => !axes.has(axis));
  },
  sizes: renamedSizes,
  evaluate: renamedValue,
});
