import { numericProduct } from '../shapes.ts';
import { movingOperator } from './moving.ts';
import { int, required, since, string } from './signature.ts';

/** Blocks of pixels become blocks of channels (https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html). */
export const spaceToDepth = movingOperator({
  op: 'SpaceToDepth',
  inputs: [1, 1],
  attributes: { blocksize: required(int()), mode: since(28, string('DCR')) },
  shape({ shape }, _, node) {
    const block = this.number(node, 'blocksize');
    const [n, c, h, w] = shape;
    const isKnown = [c, h, w].every((size) => typeof size === 'number');
    if (shape.length !== 4 || !isKnown) return `needs an image [N, C, H, W] of fixed size, has [${shape}]`;
    if (!(block >= 1) || numericProduct([h]) % block !== 0 || numericProduct([w]) % block !== 0) {
      return `blocksize ${block} does not fit an image of ${h}×${w}`;
    }
    return [n, Number(c) * block * block, Number(h) / block, Number(w) / block];
  },
  move(node, { from: [n, c, h, w], to }) {
    const block = this.number(node, 'blocksize');
    const { mode = 'DCR' } = node.attributes;
    if (mode !== 'DCR' && mode !== 'CRD')
      return `is in mode ${JSON.stringify(mode)}, which ONNX does not know`;
    const area = block * block;
    const list = (length: number, at: (i: number) => number) =>
      Float64Array.from({ length }, (_, i) => at(i));
    return {
      axes: [
        list(n, (i) => i * c * h * w),
        list(to[1], (i) => {
          const [place, channel] =
            mode === 'DCR' ? [Math.floor(i / c), i % c] : [i % area, Math.floor(i / area)];
          return channel * h * w + Math.floor(place / block) * w + (place % block);
        }),
        list(to[2], (y) => y * block * w),
        list(to[3], (x) => x * block),
      ],
    };
  },
});
