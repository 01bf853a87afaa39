import { typed, without } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { checkScale, integerTypes, scaleIndex } from './quantization.ts';
import { int, since } from './signature.ts';

export const dequantizeLinear = defineOperator({
  op: 'DequantizeLinear',
  since: 10,
  inputs: [2, 3],
  attributes: { axis: since(13, int(1)), block_size: since(21, int(0)), output_dtype: since(23, int(0)) },
  role: 'none',
  /** Elements do not depend on one another. */
  along: () => [],
  normalize(node, context) {
    const dtype = typed(context, node.inputs[0])?.dtype;
    if (dtype && dtype !== 'int32' && !integerTypes[dtype]) {
      context.problems.node(
        node,
        `dequantizes ${dtype}; only int32 and integers of 2, 4, 8 and 16 bits are supported`,
      );
    }
    const attributes = this.number(node, 'block_size')
      ? without(node, 'output_dtype')
      : without(node, 'output_dtype', 'block_size');
    return [{ ...node, attributes }];
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
    const indexOf = scaleIndex(node, x.shape, scale);
    const data = new Float32Array(x.data.length);
    for (let i = 0; i < data.length; i++) {
      const index = indexOf(i);
      data[i] = scale.data[index] * (Number(x.data[i]) - Number(zeroPoint?.data[index] ?? 0));
    }
    return { dtype: 'float32', shape, data };
  },
});
