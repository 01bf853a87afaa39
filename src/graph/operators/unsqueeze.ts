import { constantNumbers } from '../attributes.ts';
import { resolveAxes } from '../shapes.ts';
import { axesAsInput } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { renamedSizes, renamedValue } from './rename.ts';
import { ints, required, until } from './signature.ts';

export const unsqueeze = defineOperator({
  op: 'Unsqueeze',
  inputs: [1, 2],
  attributes: { axes: until(13, required(ints())) },
  role: 'renames',
  normalize: (node, context) => [axesAsInput(node, context)],
  shape({ shape }, _, node, { graph }) {
    const given = constantNumbers(graph, node.inputs[1]) ?? node.attributes.axes;
    if (!Array.isArray(given)) return undefined;
    const axes = resolveAxes(given as number[], shape.length + given.length);
    if (typeof axes === 'string') return axes;
    const rest = [...shape];
    return Array.from({ length: shape.length + axes.size }, (_, axis) =>
      axes.has(axis) ? 1 : rest.shift()!,
    );
  },
  sizes: renamedSizes,
  evaluate: renamedValue,
});
