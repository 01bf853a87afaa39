import { dtypeNumbers } from '../dtypes.ts';
import { roundToEven } from '../half.ts';
import { dtypeAttribute, typed, without } from './normalize-context.ts';
import { defineOperator, isFloats } from './operator.ts';
import { checkScale, integerTypes, scaleIndex } from './quantization.ts';
import { int, since } from './signature.ts';

export const quantizeLinear = defineOperator({
  op: 'QuantizeLinear',
  since: 10,
  inputs: [2, 3],
  attributes: {
    axis: since(13, int(1)),
    saturate: since(19, int(1)),
    block_size: since(21, int(0)),
    output_dtype: since(21, int(0)),
    precision: since(23, int(0)),
  },
  role: 'none',
  /** Elements do not depend on one another. */
  along: () => [],
  normalize(node, context) {
    const [input = '', scale = '', zeroPoint = ''] = node.inputs;
    const dropped = ['output_dtype', 'precision', 'saturate'] as const;
    const attributes = this.number(node, 'block_size')
      ? without(node, ...dropped)
      : without(node, ...dropped, 'block_size');
    const dtype =
      zeroPoint === '' ? (dtypeAttribute(node, 'output_dtype') ?? 'uint8') : typed(context, zeroPoint)?.dtype;
    if (!dtype || !integerTypes[dtype]) {
      context.problems.node(
        node,
        `quantizes to ${dtype ?? 'an unknown type'}; only integers of 2, 4, 8 and 16 bits are supported`,
      );
      return [node];
    }
    if (zeroPoint !== '') return [{ ...node, attributes }];
    const shape = context.graph.constants.get(scale)?.shape;
    // Of a computed scale the type stays in the attribute.
    if (!shape) return [{ ...node, attributes: { ...attributes, output_dtype: dtypeNumbers[dtype] } }];
    const data = integerTypes[dtype].of(shape.reduce((product, dim) => product * dim, 1));
    const zero = context.constant(`${node.name}.zero_point`, { dtype, shape, data });
    return [{ ...node, inputs: [input, scale, zero], attributes }];
  },
  shape(x, [scale, zeroPoint], node) {
    const dtype = zeroPoint?.dtype ?? dtypeAttribute(node, 'output_dtype') ?? 'uint8';
    return checkScale(x, scale, zeroPoint, node) ?? { dtype, shape: x.shape };
  },
  /** `saturate(rint(x / scale) + zeroPoint)`, the division in float32. Of float weights too, which some exporters leave in front of their DequantizeLinear. */
  evaluate({ node, inputs: [x, scale, zeroPoint], dtype, shape }) {
    const type = integerTypes[dtype];
    if (!x || !isFloats(x) || !scale || !type) return undefined;
    const { least, most } = type;
    const indexOf = scaleIndex(node, x.shape, scale);
    const data = type.of(x.data.length);
    for (let i = 0; i < data.length; i++) {
      const index = indexOf(i);
      const q =
        roundToEven(Math.fround(x.data[i] / Number(scale.data[index]))) + Number(zeroPoint?.data[index] ?? 0);
      // No integer stands for what is not a number.
      if (Number.isNaN(q)) return undefined;
      data[i] = Math.min(most, Math.max(least, q));
    }
    return { dtype, shape, data };
  },
});
