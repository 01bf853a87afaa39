import type { DType } from './graph.ts';

/** ONNX's number of each element type that Octet holds (`TensorProto.DataType`). */
export const dtypeNumbers: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
  uint2: 25,
  int2: 26,
};

const dtypes = new Map(Object.entries(dtypeNumbers).map(([dtype, number]) => [number, dtype as DType]));

/** The element type of an ONNX number, undefined where Octet holds no such type. */
export function dtypeFromNumber(number: number): DType | undefined {
  return dtypes.get(number);
}

/** Bits of an element where several share a byte, first one lowest. */
export const packedBits: Readonly<Partial<Record<DType, 4 | 2>>> = { int4: 4, uint4: 4, int2: 2, uint2: 2 };

/** Whether values of `dtype` are fractions, in any precision. */
export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64';
}
