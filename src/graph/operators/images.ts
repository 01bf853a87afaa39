/** What rows of operators on images [N, C, H, W] share. */
import { slidingWindow } from '../geometry.ts';
import type { Dimension, Node } from '../graph.ts';
import type { Shape, ShapeRule } from './operator.ts';
import { int, ints, required, string } from './signature.ts';

export const convWindow = {
  auto_pad: string('NOTSET'),
  dilations: ints(),
  kernel_shape: ints(),
  pads: ints(),
  strides: ints(),
};

export const poolWindow = {
  auto_pad: string('NOTSET'),
  ceil_mode: int(0),
  kernel_shape: required(ints()),
  pads: ints(),
  strides: ints(),
};

/** Height and width behind a window, after the `leading` dimensions; `kernel` is the weights' for a convolution. */
export function windowShape(
  node: Node,
  leading: Shape,
  h: Dimension,
  w: Dimension,
  kernel?: readonly [number, number],
): Shape | string {
  // Where a size is symbolic the other still follows the formula; any size shows whether the attributes are sound.
  const unknown = 2 ** 24;
  const window = slidingWindow(
    node,
    [typeof h === 'number' ? h : unknown, typeof w === 'number' ? w : unknown],
    kernel,
  );
  if (typeof window === 'string') return window;
  const [oh, ow] = window.outputSize;
  const name = node.outputs[0];
  return [...leading, typeof h === 'number' ? oh : `${name}.2`, typeof w === 'number' ? ow : `${name}.3`];
}

export const poolShape: ShapeRule = (x, _, node) => {
  if (x.shape.length !== 4) return `needs an image [N, C, H, W], has [${x.shape}]`;
  const [n, c, h, w] = x.shape as [Dimension, Dimension, Dimension, Dimension];
  return windowShape(node, [n, c], h, w);
};

export const globalPoolShape: ShapeRule = ({ shape }) =>
  shape.length === 4 ? [shape[0], shape[1], 1, 1] : `needs an image [N, C, H, W], has [${shape}]`;
