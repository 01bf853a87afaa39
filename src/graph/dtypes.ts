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
};

const dtypes = new Map(Object.entries(dtypeNumbers).map(([dtype, number]) => [number, dtype as DType]));

/** The element type of an ONNX number, undefined where Octet holds no such type. */
export function dtypeFromNumber(number: number): DType | undefined {
  return dtypes.get(number);
}

/** Whether values of `dtype` are fractions, in any precision. */
export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64';
}
