import { resolveAxis } from '../../graph/attributes.ts';
import { argMax as argMaxRow } from '../../graph/operators/arg-max.ts';
import { argMin } from '../../graph/operators/arg-min.ts';
import { innermostLayout } from '../../program/layouts.ts';
import type { ArgMaxOperation } from '../../program/program.ts';
import type { Operator } from '../operator.ts';
import { argMaxReference } from './reference.ts';

export const argMax: Operator<ArgMaxOperation> = {
  kind: 'argMax',
  onnx: [argMaxRow, argMin],
  layout: (node, _, shape) =>
    innermostLayout(shape, resolveAxis(argMaxRow.number(node, 'axis'), shape.length)),
  lower(node, context) {
    const shape = context.shape(node, 0) ?? [];
    const axis = argMaxRow.number(node, 'axis');
    const layout = innermostLayout(shape, resolveAxis(axis, shape.length));
    if (!layout) {
      context.problem(node, `is over axis ${axis} of [${shape}]; it must be a fixed one behind the batch`);
      return;
    }
    const x = context.inLayout(node, 0, layout);
    const output = x && context.indices(node);
    if (!output) return;
    context.emit<ArgMaxOperation>({
      kind: 'argMax',
      name: node.name,
      inputs: [x.id],
      output: output.id,
      function: argMin.is(node) ? 'min' : 'max',
      isLast: argMaxRow.number(node, 'select_last_index') !== 0,
    });
  },
  reference: argMaxReference,
  macs: () => 0,
};
