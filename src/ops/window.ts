import { slidingWindow, type SlidingWindow } from '../graph/geometry.ts';
import type { Node } from '../graph/graph.ts';
import { globalAveragePool } from '../graph/operators/global-average-pool.ts';
import { globalMaxPool } from '../graph/operators/global-max-pool.ts';
import type { ImageShape, Window2d } from '../program/program.ts';

/**
 * Height and width that a window leaves of an image: `floor((size + pads − dilation·(kernel − 1) − 1) /
 * stride) + 1`.
 */
export function windowOutput(window: Window2d, image: ImageShape): [height: number, width: number] {
  const { kernel, stride, pads, dilation } = window;
  const size = (axis: 0 | 1) =>
    Math.floor(
      (image[axis] + pads[axis] + pads[axis + 2] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis],
    ) + 1;
  return [size(0), size(1)];
}

/**
 * Calls `visit` with the row and column of each tap of one output pixel's window that lies inside the image.
 */
export function visitWindow(
  window: Window2d,
  image: ImageShape,
  outRow: number,
  outColumn: number,
  visit: (row: number, column: number) => void,
): void {
  const { kernel, stride, pads, dilation } = window;
  for (let ky = 0; ky < kernel[0]; ky++) {
    const row = outRow * stride[0] - pads[0] + ky * dilation[0];
    if (row < 0 || row >= image[0]) continue;
    for (let kx = 0; kx < kernel[1]; kx++) {
      const column = outColumn * stride[1] - pads[1] + kx * dilation[1];
      if (column >= 0 && column < image[1]) visit(row, column);
    }
  }
}

export interface PoolWindow extends Window2d {
  readonly outputSize: readonly [height: number, width: number];
  /** Whether `ceil_mode` lets windows reach beyond the padding; `pads` include that part. */
  readonly overhangs: boolean;
}

/** Most values of one pooling window: more would leave the multiplier of an average too few bits. */
const MAX_TAPS = 65536;

/** The window of a pooling node (global ones: the whole image), or what is wrong with it. */
export function poolWindow(node: Node, image: ImageShape): PoolWindow | string {
  const [height, width] = image;
  if (globalAveragePool.is(node) || globalMaxPool.is(node)) {
    if (height * width > MAX_TAPS) return `it pools ${height}×${width} values at once, more than ${MAX_TAPS}`;
    return {
      kernel: [height, width],
      stride: [1, 1],
      pads: [0, 0, 0, 0],
      dilation: [1, 1],
      outputSize: [1, 1],
      overhangs: false,
    };
  }
  const window = slidingWindow(node, [height, width]);
  if (typeof window === 'string') return window;
  const { kernel, stride, pads, dilation, outputSize, overhang } = window;
  if (seesOnlyPadding(window, image, 0) || seesOnlyPadding(window, image, 1)) {
    return `some of its windows, of ${kernel.join('×')} with padding [${pads}], would see nothing but padding`;
  }
  if (kernel[0] * kernel[1] > MAX_TAPS) {
    return `its window of ${kernel[0]}×${kernel[1]} values is larger than ${MAX_TAPS}`;
  }
  const [top, left, bottom, right] = pads;
  return {
    kernel,
    stride,
    pads: [top, left, bottom + overhang[0], right + overhang[1]],
    dilation,
    outputSize,
    overhangs: overhang[0] > 0 || overhang[1] > 0,
  };
}

/** Whether a window has no tap inside the image along `axis`: before, behind, or astride of it with a dilation. */
function seesOnlyPadding(
  { kernel, stride, pads, dilation, outputSize }: SlidingWindow,
  image: ImageShape,
  axis: 0 | 1,
): boolean {
  const last = (outputSize[axis] - 1) * stride[axis] - pads[axis];
  if (last >= image[axis]) return true;
  // From the image's first row on, a window has its first tap inside; before it, one that skips the image must
  // have a dilation larger than that.
  const before = Math.min(outputSize[axis], Math.ceil(pads[axis] / stride[axis]));
  if (pads[axis] <= (kernel[axis] - 1) * dilation[axis] && dilation[axis] <= image[axis]) return false;
  for (let output = 0; output < before; output++) {
    const start = output * stride[axis] - pads[axis];
    const firstInside = Math.max(0, Math.ceil(-start / dilation[axis]));
    if (firstInside >= kernel[axis] || start + firstInside * dilation[axis] >= image[axis]) return true;
  }
  return false;
}
