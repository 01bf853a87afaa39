import { isFloat } from '../dtypes.ts';
import { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from '../half.ts';
import { identity } from './identity.ts';
import { dtypeAttribute, typed } from './normalize-context.ts';
import { defineOperator } from './operator.ts';
import { int, required, since, string } from './signature.ts';

export const cast = defineOperator({
  op: 'Cast',
  inputs: [1, 1],
  attributes: { to: required(int()), saturate: since(19, int(1)), round_mode: since(24, string()) },
  role: 'none',
  /** Between float types a Cast does nothing, once they are all float32. */
  normalize(node, context) {
    const from = typed(context, node.inputs[0])?.dtype;
    const to = dtypeAttribute(node, 'to');
    if (!from || !to || from === 'float64' || to === 'float64' || !isFloat(from) || !isFloat(to))
      return [node];
    return [{ ...node, op: identity.op, attributes: {} }];
  },
  shape({ shape }, _, node) {
    const dtype = dtypeAttribute(node, 'to');
    return dtype
      ? { dtype, shape }
      : `casts to ONNX type number ${this.number(node, 'to')}, which is not supported`;
  },
  sizes(node, context, values) {
    const dtype = values.get(node.outputs[0])?.dtype;
    return dtype === 'int64' || dtype === 'int32' ? context.elements(node.inputs[0]) : undefined;
  },
  /** Casts that are met in practice. */
  evaluate({ node, inputs: [x] }) {
    if (!x) return undefined;
    const { shape } = x;
    const dtype = dtypeAttribute(node, 'to');
    if (dtype === x.dtype) return { dtype, shape, data: x.data };
    const floats = (): Float32Array =>
      x.data instanceof Float32Array ? x.data : Float32Array.from(x.data, Number);
    if (dtype === 'float32') return { dtype, shape, data: floats() };
    if (dtype === 'float16') return { dtype, shape, data: widenFloat16(narrowFloat16(floats())) };
    if (dtype === 'bfloat16') return { dtype, shape, data: widenBfloat16(narrowBfloat16(floats())) };
    if (dtype === 'float64') return { dtype, shape, data: Float64Array.from(x.data, Number) };
    if (dtype === 'int64' && !isFloat(x.dtype)) {
      return { dtype, shape, data: BigInt64Array.from(x.data, BigInt) };
    }
    return undefined;
  },
});
