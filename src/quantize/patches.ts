/** What a layer multiplies its weights with: at each position of its output, the inputs under its kernel (im2col). */
import { slidingWindow, type SlidingWindow } from '../graph/geometry.ts';
import { conv } from '../graph/operators/conv.ts';
import type { WeightedLayer } from './layers.ts';

/** A value over all images, as real numbers or as integers that stand for them. */
export interface StoredValue {
  /** [images, …], row-major. */
  readonly data: Float32Array | Int8Array | Int16Array;
  readonly shape: readonly number[];
  /** `real = scale · (data − zeroPoint)`; 1 and 0 for real numbers. */
  readonly scale: number;
  readonly zeroPoint: number;
}

export interface PatchReader {
  readonly groups: number;
  /** Inputs of one output: input channels of a group times taps, in the order of the weights. */
  readonly features: number;
  /** Output positions of one image. */
  readonly positions: number;
  /**
   * [features, positions.length] real numbers, padding being 0.
   *
   * @param positions numbers `image · reader.positions + position`
   */
  read(value: StoredValue, group: number, positions: Int32Array): Float32Array;
}

/** The reader of a dense layer's or a 2-D convolution's inputs; undefined for layers of other ranks. */
export function patchReader(layer: WeightedLayer, shape: readonly number[]): PatchReader | undefined {
  const { node, weights } = layer;
  const [, groupChannels, kernelHeight = 1, kernelWidth = 1] = weights.shape;
  if (!conv.is(node)) {
    return shape.length === 2 ? reader(1, groupChannels, [1, 1], undefined) : undefined;
  }
  if (shape.length !== 4) return undefined;
  const window = slidingWindow(node, [shape[2], shape[3]], [kernelHeight, kernelWidth]);
  if (typeof window === 'string') return undefined;
  return reader(conv.number(node, 'group'), groupChannels, [shape[2], shape[3]], window);
}

function reader(
  groups: number,
  groupChannels: number,
  [height, width]: readonly [number, number],
  window: SlidingWindow | undefined,
): PatchReader {
  const [kernelHeight, kernelWidth] = window?.kernel ?? [1, 1];
  const [outHeight, outWidth] = window?.outputSize ?? [1, 1];
  const area = outHeight * outWidth;
  const plane = height * width;
  const features = groupChannels * kernelHeight * kernelWidth;
  return {
    groups,
    features,
    positions: area,
    read({ data, scale, zeroPoint }, group, positions) {
      const count = positions.length;
      const taps = kernelHeight * kernelWidth;
      const patches = new Float32Array(features * count);
      const offsets = new Int32Array(count);
      for (let tap = 0; tap < taps; tap++) {
        const [tapY, tapX] = [Math.floor(tap / kernelWidth), tap % kernelWidth];
        for (let p = 0; p < count; p++) {
          const image = Math.floor(positions[p] / area);
          const position = positions[p] % area;
          const y =
            Math.floor(position / outWidth) * (window?.stride[0] ?? 1) +
            tapY * (window?.dilation[0] ?? 1) -
            (window?.pads[0] ?? 0);
          const x =
            (position % outWidth) * (window?.stride[1] ?? 1) +
            tapX * (window?.dilation[1] ?? 1) -
            (window?.pads[1] ?? 0);
          const isInside = y >= 0 && y < height && x >= 0 && x < width;
          offsets[p] = isInside ? (image * groups + group) * groupChannels * plane + y * width + x : -1;
        }
        for (let channel = 0; channel < groupChannels; channel++) {
          const row = (channel * taps + tap) * count;
          const from = channel * plane;
          for (let p = 0; p < count; p++) {
            if (offsets[p] >= 0) patches[row + p] = scale * (data[offsets[p] + from] - zeroPoint);
          }
        }
      }
      return patches;
    },
  };
}

/** The conjugate golden ratio: its multiples fall evenly into [0, 1). */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** At most `count` of the numbers below `total`: one of each of `count` equal spans, at varying places, the same in every run. */
export function spreadPositions(total: number, count: number): Int32Array {
  if (total <= count) return Int32Array.from({ length: total }, (_, i) => i);
  return Int32Array.from({ length: count }, (_, i) => Math.floor(((i + ((i * GOLDEN) % 1)) * total) / count));
}

/** Takes the mean of each row away and returns the means. */
export function centre(matrix: Float32Array, rows: number): Float64Array {
  const length = matrix.length / rows;
  const means = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * length; i < (row + 1) * length; i++) sum += matrix[i];
    means[row] = sum / length;
    for (let i = row * length; i < (row + 1) * length; i++) matrix[i] -= means[row];
  }
  return means;
}
