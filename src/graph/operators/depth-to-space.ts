import { numericProduct } from '../shapes.ts';
import { movingOperator } from './moving.ts';
import { int, required, string } from './signature.ts';

/** Blocks of channels become blocks of pixels (https://onnx.ai/onnx/operators/onnx__DepthToSpace.html). */
export const depthToSpace = movingOperator({
  op: 'DepthToSpace',
  inputs: [1, 1],
  attributes: { blocksize: required(int()), mode: string('DCR') },
  shape({ shape }, _, node) {
    const block = this.number(node, 'blocksize');
    const [n, c, h, w] = shape;
    if (shape.length !== 4 || typeof c !== 'number') {
      return `needs an image [N, C, H, W] with a known number of channels, has [${shape}]`;
    }
    if (!(block >= 1) || numericProduct([c]) % (block * block) !== 0) {
      return `blocksize ${block} does not fit ${c} channels`;
    }
    const sizes = [h, w].map((size, axis) =>
      typeof size === 'number' ? size * block : `${node.outputs[0]}.${axis + 2}`,
    );
    return [n, c / (block * block), ...sizes];
  },
  move(node, { from: [n, c, h, w], to }) {
    const block = this.number(node, 'blocksize');
    const { mode = 'DCR' } = node.attributes;
    if (mode !== 'DCR' && mode !== 'CRD')
      return `is in mode ${JSON.stringify(mode)}, which ONNX does not know`;
    const channels = to[1];
    // Steps in channels from one column, row and channel of a block to the next.
    const [column, row, channel] =
      mode === 'DCR' ? [channels, channels * block, 1] : [1, block, block * block];
    const list = (length: number, at: (i: number) => number) =>
      Float64Array.from({ length }, (_, i) => at(i));
    return {
      axes: [
        list(n, (i) => i * c * h * w),
        list(channels, (i) => i * channel * h * w),
        list(h * block, (y) => Math.floor(y / block) * w + (y % block) * row * h * w),
        list(w * block, (x) => Math.floor(x / block) + (x % block) * column * h * w),
      ],
    };
  },
});
