import { isFloat, packedBits } from '../dtypes.ts';
import type { DType, TensorData } from '../graph.ts';
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
  /** To its own type a Cast does nothing, as PyTorch exports int_repr(); nor does it between float types, once they are all float32. */
  normalize(node, context) {
    const from = typed(context, node.inputs[0])?.dtype;
    const to = dtypeAttribute(node, 'to');
    const becomeFloat32 = (type: DType) => type !== 'float64' && isFloat(type);
    const isIdentity = from && to && (from === to || (becomeFloat32(from) && becomeFloat32(to)));
    return [isIdentity ? { ...node, op: identity.op, attributes: {} } : node];
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
  /**
   * Fractions are cut off towards zero, and have no value beyond the type's range, where ONNX leaves it open, save in types of 2 and 4 bits,
   * where its tests have the lower bits; integers lose their upper bits.
   */
  evaluate({ node, inputs: [x] }) {
    if (!x) return undefined;
    const { shape } = x;
    const dtype = dtypeAttribute(node, 'to');
    if (!dtype || dtype === x.dtype) return dtype && { dtype, shape, data: x.data };
    const floats = (): Float32Array =>
      x.data instanceof Float32Array ? x.data : Float32Array.from(x.data, Number);
    if (dtype === 'float32') return { dtype, shape, data: floats() };
    if (dtype === 'float16') return { dtype, shape, data: widenFloat16(narrowFloat16(floats())) };
    if (dtype === 'bfloat16') return { dtype, shape, data: widenBfloat16(narrowBfloat16(floats())) };
    if (dtype === 'float64') return { dtype, shape, data: Float64Array.from(x.data, Number) };
    if (dtype === 'bool')
      return {
        dtype,
        shape,
        data: Uint8Array.from(x.data as ArrayLike<unknown>, (value) => (Number(value) === 0 ? 0 : 1)),
      };
    const data = isFloat(x.dtype) ? truncated(x.data, dtype) : wrapped(x.data, dtype);
    return data && { dtype, shape, data };
  },
});

type IntegerType = Exclude<DType, 'float32' | 'float16' | 'bfloat16' | 'float64' | 'bool'>;

const bitsOf: Readonly<Record<IntegerType, number>> = {
  int2: 2,
  uint2: 2,
  int4: 4,
  uint4: 4,
  int8: 8,
  uint8: 8,
  int16: 16,
  uint16: 16,
  int32: 32,
  uint32: 32,
  int64: 64,
  uint64: 64,
};

/** Undefined where one lies beyond the type's range, or, of a type of 2 or 4 bits, beyond 32 bits. */
function truncated(values: TensorData, dtype: IntegerType): TensorData | undefined {
  const isSigned = dtype.startsWith('int');
  const isNarrow = packedBits[dtype] !== undefined;
  const bits = isNarrow ? 32 : bitsOf[dtype];
  const [least, end] = isSigned || isNarrow ? [-(2 ** (bits - 1)), 2 ** (bits - 1)] : [0, 2 ** bits];
  const whole = Float64Array.from(values as ArrayLike<unknown>, (value) => Math.trunc(Number(value)));
  if (!whole.every((value) => value >= least && value < end)) return undefined;
  return isNarrow ? wrapped(whole, dtype) : arrayOf(dtype, whole);
}

function wrapped(data: TensorData, dtype: IntegerType): TensorData {
  const values = data as ArrayLike<number | bigint>;
  const bits = bitsOf[dtype];
  if (bits === 64) return arrayOf(dtype, values);
  // Typed arrays keep the lower bits of what they are given.
  const low = (value: number | bigint): number =>
    typeof value === 'bigint' ? Number(BigInt.asIntN(32, value)) : value;
  if (bits >= 8) return arrayOf(dtype, Array.from(values, low));
  const shift = 32 - bits;
  const isSigned = dtype.startsWith('int');
  return arrayOf(
    dtype,
    Array.from(values, (value) =>
      isSigned ? (low(value) << shift) >> shift : (low(value) << shift) >>> shift,
    ),
  );
}

function arrayOf(dtype: IntegerType, values: ArrayLike<number | bigint>): TensorData {
  switch (dtype) {
    case 'int64':
      return BigInt64Array.from(values, BigInt);
    case 'uint64':
      return BigUint64Array.from(values, BigInt);
    case 'int32':
      return Int32Array.from(values, Number);
    case 'uint32':
      return Uint32Array.from(values, Number);
    case 'int16':
      return Int16Array.from(values, Number);
    case 'uint16':
      return Uint16Array.from(values, Number);
    case 'int8':
    case 'int4':
    case 'int2':
      return Int8Array.from(values, Number);
    case 'uint8':
    case 'uint4':
    case 'uint2':
      return Uint8Array.from(values, Number);
  }
}
