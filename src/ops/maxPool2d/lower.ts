import type { Node } from '../../graph/graph.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { lookupTable } from '../../program/pointwise.ts';
import type { LookupOperation, MaxPool2dOperation } from '../../program/program.ts';
import { poolWindow } from '../window.ts';

export function lowerMaxPool2d(node: Node, context: LoweringContext): void {
  const input = context.activation(node, 0);
  if (!input) return;
  const window = poolWindow(node, input.shape);
  if (typeof window === 'string') {
    context.problem(node, window);
    return;
  }
  const shape = [...window.outputSize, input.shape[2]] as const;
  const output = context.output(node, shape, { like: input });
  if (!output) return;
  const { tensor, lo, hi } = output;
  const isSame = tensor.scale === input.scale && tensor.zeroPoint === input.zeroPoint;
  const isWhole = isSame && lo === -128 && hi === 127;
  const pooled = isWhole ? tensor : context.intermediate(node, shape, input);
  const { kernel, stride, pads, dilation } = window;
  context.emit<MaxPool2dOperation>({
    kind: 'maxPool2d',
    name: node.name,
    inputs: [input.id],
    output: pooled.id,
    kernel,
    stride,
    pads,
    dilation,
  });
  if (isWhole) return;
  // Another scale, or a Relu/Clip behind the pool: a table does both.
  const table = lookupTable({ tensor: pooled, values: null }, tensor).map((q) =>
    Math.min(Math.max(q, lo), hi),
  );
  context.emit<LookupOperation>({
    kind: 'lookup',
    name: `${node.name}.requantize`,
    inputs: [pooled.id],
    output: tensor.id,
    table,
  });
}
