import { slidingWindow } from '../geometry.ts';
import { conv } from './conv.ts';
import { withoutZeroPoint } from './integer-products.ts';
import { defineOperator } from './operator.ts';

/** https://onnx.ai/onnx/operators/onnx__ConvInteger.html */
export const convInteger = defineOperator({
  op: 'ConvInteger',
  since: 10,
  inputs: [2, 4],
  attributes: conv.attributes,
  role: 'computes',
  learned: [1],
  macs: (shape, weights) => conv.macs!(shape, weights),
  shape(x, [w, zeroPoint, weightZeroPoint], node, context) {
    const shape = conv.shape(x, [w], node, context);
    if (!Array.isArray(shape)) return shape;
    const count = weightZeroPoint?.shape.reduce<number>((product, size) => product * Number(size), 1);
    if (zeroPoint?.shape.some((size) => size !== 1))
      return `its zero point has shape [${zeroPoint.shape}], where one is needed`;
    if (count !== undefined && count !== 1 && count !== w?.shape[0])
      return `its weights have ${count} zero points, where one, or one an output channel, is needed`;
    return { dtype: 'int32', shape: shape as readonly (number | string)[] };
  },
  /** Padding holds the zero point, and so adds nothing. */
  evaluate({ node, inputs: [x, w, zeroPoint, weightZeroPoint], shape }) {
    const image = withoutZeroPoint(x, zeroPoint, () => 0);
    const [outChannels, inChannels, kernelHeight, kernelWidth] = w?.shape ?? [];
    const perOutput = inChannels * kernelHeight * kernelWidth;
    const weights = withoutZeroPoint(w, weightZeroPoint, (i) => Math.floor(i / perOutput));
    if (!image || !weights) return undefined;
    const [images, channels, height, width] = x!.shape;
    const window = slidingWindow(node, [height, width], [kernelHeight, kernelWidth]);
    if (typeof window === 'string') return undefined;
    const { outputSize, stride, pads, dilation } = window;
    const outputsPerGroup = outChannels / conv.number(node, 'group');
    const data = new Int32Array(images * outChannels * outputSize[0] * outputSize[1]);
    let to = 0;
    for (let n = 0; n < images; n++) {
      for (let o = 0; o < outChannels; o++) {
        const firstChannel = Math.floor(o / outputsPerGroup) * inChannels;
        for (let y = 0; y < outputSize[0]; y++) {
          for (let column = 0; column < outputSize[1]; column++, to++) {
            let sum = 0;
            for (let c = 0; c < inChannels; c++) {
              for (let i = 0; i < kernelHeight; i++) {
                const h = y * stride[0] - pads[0] + i * dilation[0];
                if (h < 0 || h >= height) continue;
                const row = ((n * channels + firstChannel + c) * height + h) * width;
                const tap = ((o * inChannels + c) * kernelHeight + i) * kernelWidth;
                for (let j = 0; j < kernelWidth; j++) {
                  const at = column * stride[1] - pads[1] + j * dilation[1];
                  if (at >= 0 && at < width) sum += image[row + at] * weights[tap + j];
                }
              }
            }
            data[to] = sum;
          }
        }
      }
    }
    return { dtype: 'int32', shape, data };
  },
});
