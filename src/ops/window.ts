import { slidingWindow } from '../graph/geometry.ts';
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

/** How many taps of one output pixel's window are image or padding, where padding counts. */
export function countedTaps(
  window: Window2d & Pick<PoolWindow, 'overhang'>,
  image: ImageShape,
  outRow: number,
  outColumn: number,
): number {
  const { kernel, stride, pads, dilation, overhang } = window;
  const along = (axis: 0 | 1, output: number) => {
    const end = image[axis] + pads[axis + 2] - overhang[axis];
    const start = output * stride[axis] - pads[axis];
    return Math.min(kernel[axis], Math.ceil((end - start) / dilation[axis]));
  };
  return along(0, outRow) * along(1, outColumn);
}

export interface PoolWindow extends Window2d {
  readonly outputSize: readonly [height: number, width: number];
  /** Rows and columns by which `ceil_mode` lets windows reach beyond the padding; `pads` include that part. */
  readonly overhang: readonly [height: number, width: number];
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
      overhang: [0, 0],
    };
  }
  const window = slidingWindow(node, [height, width]);
  if (typeof window === 'string') return window;
  const { kernel, stride, pads, dilation, outputSize, overhang } = window;
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
    overhang,
  };
}
