import { transposedWindow } from '../geometry.ts';
import type { Dimension } from '../graph.ts';
import { numericProduct } from '../shapes.ts';
import { convWindow } from './images.ts';
import { defineOperator, isFloats } from './operator.ts';
import { int, ints } from './signature.ts';

/** https://onnx.ai/onnx/operators/onnx__ConvTranspose.html */
export const convTranspose = defineOperator({
  op: 'ConvTranspose',
  inputs: [2, 3],
  attributes: { ...convWindow, group: int(1), output_padding: ints(), output_shape: ints() },
  role: 'computes',
  learned: [1, 2],
  note: '`conv2d`, all phases at once, and `move`',
  /** Those of the input's elements: each meets every tap. */
  macs: (shape, weights) => numericProduct(shape.slice(1)) * (weights[0] ?? 1),
  shape(x, [w, b], node) {
    if (x.shape.length !== 4 || w?.shape.length !== 4) {
      return `needs an image [N, C, H, W] and weights of 4 dimensions, has [${x.shape}] and [${w?.shape ?? []}]`;
    }
    const group = this.number(node, 'group');
    const [n, c, h, width] = x.shape as [Dimension, Dimension, Dimension, Dimension];
    const [inChannels, perGroup, kh, kw] = w.shape;
    if (![inChannels, perGroup, kh, kw].every((dim) => typeof dim === 'number' && dim > 0)) {
      return `weights have shape [${w.shape}], where positive sizes are needed`;
    }
    if (!Number.isInteger(group) || group < 1 || Number(inChannels) % group !== 0) {
      return `group is ${group}, which does not divide the ${inChannels} input channels`;
    }
    if (typeof c === 'number' && c !== inChannels) {
      return `the image has ${c} channels, but the weights expect ${inChannels}`;
    }
    const outChannels = Number(perGroup) * group;
    if (b && (b.shape.length !== 1 || b.shape[0] !== outChannels)) {
      return `bias has shape [${b.shape}], expected [${outChannels}]`;
    }
    if (typeof h !== 'number' || typeof width !== 'number') return [n, outChannels, 'height', 'width'];
    const window = transposedWindow(node, [h, width], [Number(kh), Number(kw)]);
    return typeof window === 'string' ? window : [n, outChannels, ...window.outputSize];
  },
  /** Each sum in float64: the bias, then products by input channel, row and column; rounded once. */
  evaluate({ node, inputs: [x, w, b], shape }) {
    if (!isFloats(x) || !isFloats(w) || (b && !isFloats(b))) return undefined;
    const [images, channels, height, width] = x.shape;
    const [, perGroup, kernelHeight, kernelWidth] = w.shape;
    const window = transposedWindow(node, [height, width], [kernelHeight, kernelWidth]);
    if (typeof window === 'string') return undefined;
    const { stride, pads, dilation } = window;
    const [, outChannels, outHeight, outWidth] = shape;
    const inPerGroup = channels / (outChannels / perGroup);
    const sums = new Float64Array(images * outChannels * outHeight * outWidth);
    if (b)
      for (const i of sums.keys()) sums[i] = b.data[Math.floor(i / (outHeight * outWidth)) % outChannels];
    for (let n = 0; n < images; n++) {
      for (let c = 0; c < channels; c++) {
        const firstOut = Math.floor(c / inPerGroup) * perGroup;
        for (let row = 0; row < height; row++) {
          for (let column = 0; column < width; column++) {
            const value = x.data[((n * channels + c) * height + row) * width + column];
            for (let o = 0; o < perGroup; o++) {
              const plane = (n * outChannels + firstOut + o) * outHeight;
              for (let ky = 0; ky < kernelHeight; ky++) {
                const outRow = row * stride[0] + ky * dilation[0] - pads[0];
                if (outRow < 0 || outRow >= outHeight) continue;
                for (let kx = 0; kx < kernelWidth; kx++) {
                  const outColumn = column * stride[1] + kx * dilation[1] - pads[1];
                  if (outColumn < 0 || outColumn >= outWidth) continue;
                  const weight = w.data[((c * perGroup + o) * kernelHeight + ky) * kernelWidth + kx];
                  sums[(plane + outRow) * outWidth + outColumn] += value * weight;
                }
              }
            }
          }
        }
      }
    }
    return { dtype: 'float32', shape, data: Float32Array.from(sums) };
  },
});
