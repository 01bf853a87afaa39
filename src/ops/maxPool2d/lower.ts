import type { Node } from '../../graph/graph.ts';
import type { LoweringContext } from '../../program/lowering.ts';
import { type MaxPool2dOperation, nchw } from '../../program/program.ts';
import { emitSelection } from '../selection.ts';
import { poolWindow } from '../window.ts';

export function lowerMaxPool2d(node: Node, context: LoweringContext): void {
  const input = context.image(node, 0);
  if (!input) return;
  const window = poolWindow(node, input.image);
  if (typeof window === 'string') {
    context.problem(node, window);
    return;
  }
  const { kernel, stride, pads, dilation, outputSize } = window;
  emitSelection(
    node,
    input,
    nchw([...outputSize, input.image[2]]),
    context,
    (output): MaxPool2dOperation => ({
      kind: 'maxPool2d',
      name: node.name,
      inputs: [input.id],
      output,
      kernel,
      stride,
      pads,
      dilation,
    }),
  );
}
