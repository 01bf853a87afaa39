import { plainFloatKernels } from '../float-kernels.ts';
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
  evaluate({ node, inputs: [x, w, b], shape, kernels = plainFloatKernels }) {
    if (!isFloats(x) || !isFloats(w) || (b && !isFloats(b))) return undefined;
    const [images, channels, height, width] = x.shape;
    const [outChannels, inChannels, kernelHeight, kernelWidth] = w.shape;
    const window = slidingWindow(node, [height, width], [kernelHeight, kernelWidth]);
    if (typeof window === 'string') return undefined;
    const { outputSize, kernel, stride, pads, dilation } = window;
    const layer = {
      ...{ size: [height, width] as const, outputSize, kernel, stride, dilation },
      ...{ pads: [pads[0], pads[1]] as const, groups: this.number(node, 'group') },
      ...{ outChannels, inChannels, weights: w.data, bias: b?.data ?? new Float32Array(outChannels) },
    };
    const [from, to] = [channels * height * width, outChannels * outputSize[0] * outputSize[1]];
    const data = new Float32Array(images * to);
    for (let n = 0; n < images; n++) {
      kernels.convolve({
        ...layer,
        x: x.data.subarray(n * from, (n + 1) * from),
        y: data.subarray(n * to, (n + 1) * to),
      });
    }
    return { dtype: 'float32', shape, data };
  },
});
