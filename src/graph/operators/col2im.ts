import { constantNumbers } from '../attributes.ts';
import type { NumbersOf } from '../strided.ts';
import type { Node } from '../graph.ts';
import { coordinatesOf, sizeOf } from './dense.ts';
import { defineOperator, isFloats } from './operator.ts';
import { ints } from './signature.ts';

/** Adds up blocks, one a column, where they lie in an image (https://onnx.ai/onnx/operators/onnx__Col2Im.html). */
export const col2im = defineOperator({
  op: 'Col2Im',
  since: 18,
  inputs: [3, 3],
  attributes: { dilations: ints(), pads: ints(), strides: ints() },
  role: 'none',
  shape({ shape }, _, node, { graph }) {
    const lists = listsOf(node, (name) => constantNumbers(graph, name));
    if (!lists) return undefined;
    const { image, block, columns } = lists;
    const taps = sizeOf(block);
    if (shape.length !== 3 || Number(shape[1]) % taps !== 0 || shape[2] !== sizeOf(columns))
      return `blocks of [${block}] in an image of [${image}] do not fit [${shape}]`;
    return [shape[0], Number(shape[1]) / taps, ...image];
  },
  /** Each sum in float64, in order of the blocks' elements; rounded once. */
  evaluate({ node, inputs: [x], shape, numbers }) {
    const lists = listsOf(node, numbers);
    if (!isFloats(x) || !lists) return undefined;
    const { image, block, columns, strides, dilations, pads } = lists;
    const [taps, count, pixels] = [block, columns, image].map(sizeOf);
    const sums = new Float64Array(sizeOf(shape));
    for (let plane = 0; plane < shape[0] * shape[1]; plane++) {
      for (let tap = 0; tap < taps; tap++) {
        const offset = coordinatesOf(tap, block);
        for (let column = 0; column < count; column++) {
          const at = coordinatesOf(column, columns).map(
            (step, axis) => step * strides[axis] + offset[axis] * dilations[axis] - pads[axis],
          );
          if (at.some((place, axis) => place < 0 || place >= image[axis])) continue;
          const place = at.reduce((sum, coordinate, axis) => sum * image[axis] + coordinate, 0);
          sums[plane * pixels + place] += x.data[(plane * taps + tap) * count + column];
        }
      }
    }
    return { dtype: 'float32', shape, data: Float32Array.from(sums) };
  },
});

function listsOf(node: Node, numbers: NumbersOf) {
  const image = numbers(node.inputs[1]);
  const block = numbers(node.inputs[2]);
  if (!image || image.length !== block?.length || ![...image, ...block].every((size) => size > 0))
    return undefined;
  const list = (name: string, value: number, length = image.length) => {
    const given = node.attributes[name];
    return Array.isArray(given) ? (given as number[]) : new Array<number>(length).fill(value);
  };
  const [strides, dilations, pads] = [
    list('strides', 1),
    list('dilations', 1),
    list('pads', 0, 2 * image.length),
  ];
  const columns = image.map((size, axis) => {
    const padded = size + pads[axis] + pads[axis + image.length];
    return Math.floor((padded - dilations[axis] * (block[axis] - 1) - 1) / strides[axis]) + 1;
  });
  return { image, block, columns, strides, dilations, pads };
}
