import { resolveAxis } from '../attributes.ts';
import { roundToEven } from '../half.ts';
import { dtypeAttribute, typed, without } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { checkScale, refuseBlocks } from './quantization.ts';
import { int, since } from './signature.ts';

export const quantizeLinear = defineOperator({
  op: 'QuantizeLinear',
  inputs: [2, 3],
  attributes: {
    axis: since(13, int(1)),
    saturate: since(19, int(1)),
    block_size: since(21, int(0)),
    output_dtype: since(21, int(0)),
    precision: since(23, int(0)),
  },
  role: 'none',
  normalize(node, context) {
    refuseBlocks(node, context);
    const [input = '', scale = '', zeroPoint = ''] = node.inputs;
    const attributes = without(node, 'output_dtype', 'block_size', 'precision', 'saturate');
    const dtype =
      zeroPoint === '' ? (dtypeAttribute(node, 'output_dtype') ?? 'uint8') : typed(context, zeroPoint)?.dtype;
    if (dtype !== 'int8' && dtype !== 'uint8') {
      context.problems.node(
        node,
        `quantizes to ${dtype ?? 'an unknown type'}; only int8 and uint8 are supported`,
      );
      return [node];
    }
    if (zeroPoint !== '') return [{ ...node, attributes }];
    const shape = context.graph.constants.get(scale)?.shape ?? [];
    const count = shape.reduce((product, dim) => product * dim, 1);
    const data = dtype === 'int8' ? new Int8Array(count) : new Uint8Array(count);
    const zero = context.constant(`${node.name}.zero_point`, { dtype, shape, data });
    return [{ ...node, inputs: [input, scale, zero], attributes }];
  },
  shape(x, [scale, zeroPoint], node) {
    const dtype = zeroPoint?.dtype ?? dtypeAttribute(node, 'output_dtype') ?? 'uint8';
    return checkScale(x, scale, zeroPoint, node) ?? { dtype, shape: x.shape };
  },
  /** Float weights, which some exporters leave in front of their DequantizeLinear. */
  evaluate({ node, inputs: [x, scale, zeroPoint], dtype, shape }) {
    if (!(x?.data instanceof Float32Array) || !scale || (dtype !== 'int8' && dtype !== 'uint8'))
      return undefined;
    const [least, most] = dtype === 'int8' ? [-128, 127] : [0, 255];
    const axis = resolveAxis(this.number(node, 'axis'), x.shape.length) ?? 0;
    const inner = x.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    const perAxis = scale.data.length > 1;
    const data = dtype === 'int8' ? new Int8Array(x.data.length) : new Uint8Array(x.data.length);
    for (let i = 0; i < data.length; i++) {
      const index = perAxis ? Math.floor(i / inner) % scale.data.length : 0;
      const q =
        roundToEven(Math.fround(x.data[i] / Number(scale.data[index]))) + Number(zeroPoint?.data[index] ?? 0);
      data[i] = Math.min(most, Math.max(least, q));
    }
    return { dtype, shape, data };
  },
});
