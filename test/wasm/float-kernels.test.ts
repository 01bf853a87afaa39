/** Float kernels of host stages: the bytes of the plain loops. */
import { beforeAll, expect, test } from 'vitest';
import { type FloatConvolution, type FloatKernels, plainFloatKernels } from '../../src/program/host.ts';
import { loadFloatKernels } from '../../src/wasm/float-kernels.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(8);
/** Magnitudes far apart, so that another order of sums would show, and both zeros. */
const floats = (length: number) =>
  Float32Array.from({ length }, (_, i) =>
    i % 7 === 0 ? (i % 2 ? 0 : -0) : (random.next() - 0.5) * 2 ** random.int(-12, 12),
  );
const bytesOf = (data: Float32Array) => new Uint32Array(data.buffer);

let kernels: FloatKernels;
beforeAll(async () => {
  kernels = (await loadFloatKernels())!;
});

test.each([
  [1, 1, 1],
  [1, 37, 64],
  [4, 8, 5],
  [7, 19, 33],
  [9, 1, 40],
])('a product of %i×%i with k = %i, of either layout', (m, n, k) => {
  const [a, b] = [floats(m * k), floats(k * n)];
  for (const bStrides of [
    [n, 1],
    [1, k],
  ] as const) {
    const [expected, actual] = [new Float32Array(m * n), new Float32Array(m * n)];
    plainFloatKernels.multiply({ a, b, bStrides, y: expected, m, n, k });
    kernels.multiply({ a, b, bStrides, y: actual, m, n, k });
    expect(bytesOf(actual)).toEqual(bytesOf(expected));
  }
});

const shapes: Record<string, Partial<FloatConvolution>> = {
  'one pixel': { size: [1, 1], kernel: [1, 1] },
  'padded 3×3': { pads: [1, 1], outputSize: [9, 11] },
  strided: { stride: [2, 3], outputSize: [4, 3] },
  'dilated, with padding on one side': { dilation: [2, 2], pads: [2, 0], outputSize: [8, 7] },
  '1×1': { kernel: [1, 1], outChannels: 9 },
  'in groups': { groups: 3, outChannels: 6, inChannels: 2 },
  'by channel': { groups: 5, outChannels: 5, inChannels: 1, pads: [1, 1], outputSize: [9, 11] },
};
test.each(Object.entries(shapes))('a convolution: %s', (_, shape) => {
  const layer: Omit<FloatConvolution, 'x' | 'y' | 'weights' | 'bias' | 'outputSize'> = {
    ...{ size: [9, 11], outChannels: 6, inChannels: 3, groups: 1, kernel: [3, 3] },
    ...{ stride: [1, 1], dilation: [1, 1], pads: [0, 0] },
    ...shape,
  };
  const { size, outChannels, inChannels, groups, kernel } = layer;
  const outputSize = shape.outputSize ?? ([size[0] - kernel[0] + 1, size[1] - kernel[1] + 1] as const);
  const call = {
    ...{ ...layer, outputSize, x: floats(groups * inChannels * size[0] * size[1]) },
    ...{ weights: floats(outChannels * inChannels * kernel[0] * kernel[1]), bias: floats(outChannels) },
  };
  const [expected, actual] = [0, 1].map(() => new Float32Array(outChannels * outputSize[0] * outputSize[1]));
  plainFloatKernels.convolve({ ...call, y: expected });
  kernels.convolve({ ...call, y: actual });
  expect(bytesOf(actual)).toEqual(bytesOf(expected));
  expect(actual.some((value) => value !== 0)).toBe(true);
});
