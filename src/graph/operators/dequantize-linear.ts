import { resolveAxis } from '../attributes.ts';
import { packedBits } from '../dtypes.ts';
import { typed, without } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { checkScale, refuseBlocks } from './quantization.ts';
import { int, since } from './signature.ts';

export const dequantizeLinear = defineOperator({
  op: 'DequantizeLinear',
  inputs: [2, 3],
  attributes: { axis: since(13, int(1)), block_size: since(21, int(0)), output_dtype: since(23, int(0)) },
  role: 'none',
  normalize(node, context) {
    refuseBlocks(node, context);
    const dtype = typed(context, node.inputs[0])?.dtype;
    const isPacked = dtype !== undefined && packedBits[dtype] !== undefined;
    if (isPacked && !context.graph.constants.has(node.inputs[0])) {
      context.problems.node(
        node,
        `dequantizes ${dtype} that is computed; only constants may have 4 or 2 bits`,
      );
    } else if (dtype && !isPacked && dtype !== 'int8' && dtype !== 'uint8' && dtype !== 'int32') {
      context.problems.node(
        node,
        `dequantizes ${dtype}; only int8, uint8, int32, and constants of 4 and 2 bits are supported`,
      );
    }
    return [{ ...node, attributes: without(node, 'block_size', 'output_dtype') }];
  },
  shape(x, [scale, zeroPoint], node) {
    if (zeroPoint && zeroPoint.dtype !== x.dtype) {
      return `its zero point is ${zeroPoint.dtype}, but the input is ${x.dtype}`;
    }
    return checkScale(x, scale, zeroPoint, node) ?? { dtype: scale?.dtype ?? 'float32', shape: x.shape };
  },
  /** `scale · (q − zeroPoint)`, rounded once. */
  evaluate({ node, inputs: [x, scale, zeroPoint], shape }) {
    if (!x || !isFloats(scale) || scale.data.length === 0) return undefined;
    const axis = resolveAxis(this.number(node, 'axis'), x.shape.length) ?? 0;
    const inner = x.shape.slice(axis + 1).reduce((product, size) => product * size, 1);
    const count = scale.data.length;
    const data = new Float32Array(x.data.length);
    for (let i = 0; i < data.length; i++) {
      const index = count > 1 ? Math.floor(i / inner) % count : 0;
      data[i] = scale.data[index] * (Number(x.data[i]) - Number(zeroPoint?.data[index] ?? 0));
    }
    return { dtype: 'float32', shape, data };
  },
});
