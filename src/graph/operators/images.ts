/** What rows of operators on images [N, C, H, W] share. */
import { type Pair, slidingWindow, type SlidingWindow } from '../geometry.ts';
import type { Dimension, Node } from '../graph.ts';
import type { Evaluation, Shape, ShapeRule, Value } from './operator.ts';
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
  const window = typeof h === 'number' && typeof w === 'number' ? slidingWindow(node, [h, w]) : '';
  if (typeof window === 'object' && seesOnlyPadding(window, [h, w] as [number, number])) {
    const { kernel, pads } = window;
    return `some of its windows, of ${kernel.join('×')} with padding [${pads}], would see nothing but padding`;
  }
  return windowShape(node, [n, c], h, w);
};

/** Whether a window has no tap inside the image along an axis: before, behind, or astride of it with a dilation. */
function seesOnlyPadding(
  { kernel, stride, pads, dilation, outputSize }: SlidingWindow,
  image: Pair,
): boolean {
  return ([0, 1] as const).some((axis) => {
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
  });
}

export const globalPoolShape: ShapeRule = ({ shape }) =>
  shape.length === 4 ? [shape[0], shape[1], 1, 1] : `needs an image [N, C, H, W], has [${shape}]`;

/**
 * The value of one window: its elements, in order of rows and columns, how many places outside the image padding holds, and where the
 * elements lie in the input.
 */
type Pooled = (taps: Float32Array, padded: number, places: Int32Array) => number;

/** A pool [N, C, H, W]: `pool` of each window of each channel. Undefined where a window sees nothing but padding. */
export function evaluatePool(
  { node, inputs: [x], shape }: Pick<Evaluation, 'node' | 'inputs' | 'shape'>,
  pool: Pooled,
): (Value & { readonly data: Float32Array }) | undefined {
  if (!(x?.data instanceof Float32Array) || x.shape.length !== 4) return undefined;
  const [images, channels, height, width] = x.shape;
  const window = slidingWindow(node, [height, width]);
  if (typeof window === 'string') return undefined;
  const { kernel, outputSize } = window;
  const data = new Float32Array(images * channels * outputSize[0] * outputSize[1]);
  const taps = new Float32Array(kernel[0] * kernel[1]);
  const places = new Int32Array(taps.length);
  let to = 0;
  for (let image = 0; image < images * channels; image++) {
    for (let outRow = 0; outRow < outputSize[0]; outRow++) {
      for (let outColumn = 0; outColumn < outputSize[1]; outColumn++) {
        let [inside, padded] = [0, 0];
        for (let ky = 0; ky < kernel[0]; ky++) {
          const row = tapAt(window, 0, outRow, ky, height);
          for (let kx = 0; kx < kernel[1]; kx++) {
            const column = tapAt(window, 1, outColumn, kx, width);
            if (row >= 0 && column >= 0) {
              places[inside] = (image * height + row) * width + column;
              taps[inside] = x.data[places[inside]];
              inside++;
            } else if (row !== BEYOND && column !== BEYOND) padded++;
          }
        }
        if (inside === 0) return undefined;
        data[to++] = pool(taps.subarray(0, inside), padded, places);
      }
    }
  }
  return { dtype: 'float32', shape, data };
}

/** A place in the padding, and one beyond it, where `ceil_mode` lets the last window reach. */
const PADDING = -1;
const BEYOND = -2;

/** The row (axis 0) or column of a window's tap. */
function tapAt(window: SlidingWindow, axis: 0 | 1, output: number, tap: number, size: number): number {
  const at = output * window.stride[axis] - window.pads[axis] + tap * window.dilation[axis];
  if (at >= size + window.pads[axis + 2]) return BEYOND;
  return at < 0 || at >= size ? PADDING : at;
}

/** A global pool [N, C, H, W]: `pool` of each channel of each image. */
export function evaluateGlobalPool(
  { inputs: [x], shape }: Evaluation,
  pool: (taps: Float32Array) => number,
): Value | undefined {
  if (!(x?.data instanceof Float32Array) || x.shape.length !== 4) return undefined;
  const { data } = x;
  const pixels = x.shape[2] * x.shape[3];
  if (pixels === 0) return undefined;
  const pooled = Float32Array.from({ length: x.shape[0] * x.shape[1] }, (_, image) =>
    pool(data.subarray(image * pixels, (image + 1) * pixels)),
  );
  return { dtype: 'float32', shape, data: pooled };
}

export function largestOf(taps: Float32Array): number {
  return taps.reduce((largest, x) => Math.max(largest, x), -Infinity);
}

/** Summed in float64 from first to last. */
export function sumOf(taps: Float32Array): number {
  return taps.reduce((sum, x) => sum + x, 0);
}
