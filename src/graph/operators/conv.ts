import { slidingWindow } from '../geometry.ts';
import type { Dimension } from '../graph.ts';
import { numericProduct } from '../shapes.ts';
import { convWindow, windowShape } from './images.ts';
import { defineOperator, isFloats } from './operator.ts';
import { int } from './signature.ts';

export const conv = defineOperator({
  op: 'Conv',
  inputs: [2, 3],
  attributes: { ...convWindow, group: int(1) },
  role: 'computes',
  learned: [1, 2],
  macs: (shape, weights) => numericProduct(shape.slice(1)) * numericProduct(weights.slice(1)),
  shape(x, [w, b], node) {
    if (x.shape.length !== 4 || w?.shape.length !== 4) {
      return `needs an image [N, C, H, W] and weights of 4 dimensions, has [${x.shape}] and [${w?.shape ?? []}]`;
    }
    const group = this.number(node, 'group');
    const [n, c, h, width] = x.shape as [Dimension, Dimension, Dimension, Dimension];
    const [outChannels, inChannels, kh, kw] = w.shape;
    if (![outChannels, inChannels, kh, kw].every((dim) => typeof dim === 'number' && dim > 0)) {
      return `weights have shape [${w.shape}], where positive sizes are needed`;
    }
    if (!Number.isInteger(group) || group < 1 || Number(outChannels) % group !== 0) {
      return `group is ${group}, which does not divide the ${outChannels} output channels`;
    }
    if (typeof c === 'number' && c !== Number(inChannels) * group) {
      return `the image has ${c} channels, but the weights expect ${Number(inChannels) * group}`;
    }
    if (b && (b.shape.length !== 1 || b.shape[0] !== outChannels)) {
      return `bias has shape [${b.shape}], expected [${outChannels}]`;
    }
    return windowShape(node, [n, outChannels], h, width, [Number(kh), Number(kw)]);
  },
  /** Each sum in float64: the bias, then products by input channel, row and column; rounded once. */
  evaluate({ node, inputs: [x, w, b], shape }) {
    if (!isFloats(x) || !isFloats(w) || (b && !isFloats(b))) return undefined;
    const [images, channels, height, width] = x.shape;
    const [outChannels, inChannels, kernelHeight, kernelWidth] = w.shape;
    const window = slidingWindow(node, [height, width], [kernelHeight, kernelWidth]);
    if (typeof window === 'string') return undefined;
    const { outputSize, stride, pads, dilation } = window;
    const perGroup = outChannels / this.number(node, 'group');
    const data = new Float32Array(images * outChannels * outputSize[0] * outputSize[1]);
    let to = 0;
    for (let n = 0; n < images; n++) {
      for (let o = 0; o < outChannels; o++) {
        const firstChannel = n * channels + Math.floor(o / perGroup) * inChannels;
        for (let outRow = 0; outRow < outputSize[0]; outRow++) {
          for (let outColumn = 0; outColumn < outputSize[1]; outColumn++) {
            let sum = b ? b.data[o] : 0;
            for (let c = 0; c < inChannels; c++) {
              for (let ky = 0; ky < kernelHeight; ky++) {
                const row = outRow * stride[0] - pads[0] + ky * dilation[0];
                if (row < 0 || row >= height) continue;
                const from = ((firstChannel + c) * height + row) * width;
                const weights = ((o * inChannels + c) * kernelHeight + ky) * kernelWidth;
                for (let kx = 0; kx < kernelWidth; kx++) {
                  const column = outColumn * stride[1] - pads[1] + kx * dilation[1];
                  if (column >= 0 && column < width) sum += x.data[from + column] * w.data[weights + kx];
                }
              }
            }
            data[to++] = sum;
          }
        }
      }
    }
    return { dtype: 'float32', shape, data };
  },
});
