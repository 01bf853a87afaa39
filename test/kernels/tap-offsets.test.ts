/** Which inputs a patch of outputs needs. */
import { expect, test } from 'vitest';
import { tapOffsets } from '../../shaders/conv2d-window.wgsl.ts';

test.each([
  { pixels: 1, kernel: 3, stride: 1, dilation: 1, offsets: [0, 1, 2] },
  { pixels: 4, kernel: 3, stride: 1, dilation: 1, offsets: [0, 1, 2, 3, 4, 5] },
  { pixels: 2, kernel: 3, stride: 2, dilation: 1, offsets: [0, 1, 2, 3, 4] },
  { pixels: 2, kernel: 2, stride: 3, dilation: 1, offsets: [0, 1, 3, 4] },
  { pixels: 1, kernel: 3, stride: 1, dilation: 4, offsets: [0, 4, 8] },
  { pixels: 2, kernel: 3, stride: 1, dilation: 3, offsets: [0, 1, 3, 4, 6, 7] },
])(
  '$pixels outputs, kernel $kernel, stride $stride, dilation $dilation',
  ({ pixels, kernel, stride, dilation, offsets }) => {
    expect(tapOffsets(pixels, kernel, stride, dilation)).toEqual(offsets);
  },
);
