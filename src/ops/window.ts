import type { ImageShape, Window2d } from '../program/program.ts';

/** Height and width that a window leaves of an image: `floor((size + pads − dilation·(kernel − 1) − 1) / stride) + 1`. */
export function windowOutput(window: Window2d, image: ImageShape): [height: number, width: number] {
  const { kernel, stride, pads, dilation } = window;
  const size = (axis: 0 | 1) =>
    Math.floor(
      (image[axis] + pads[axis] + pads[axis + 2] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis],
    ) + 1;
  return [size(0), size(1)];
}

/** Calls `visit` with the row and column of each tap of one output pixel's window that lies inside the image. */
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
