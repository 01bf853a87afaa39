/** TensorProto ⇄ Tensor. Sizes are checked before anything is allocated: the file is untrusted. */
import { create } from '@bufbuild/protobuf';
import {
  type TensorProto,
  TensorProto_DataLocation,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
} from 'onnx-buf';
import { dtypeFromNumber, dtypeNumbers, packedBits } from '../graph/dtypes.ts';
import type { DType, Tensor, TensorData } from '../graph/graph.ts';
import { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from '../graph/half.ts';
import { MAX_ELEMENTS } from '../graph/limits.ts';
import type { Problems } from '../graph/problems.ts';
import { readExtras, writeExtras } from './extras.ts';

/** Gives the bytes of an external data file, by its location as the model states it (a relative path). */
export type ExternalData = (location: string) => Uint8Array | undefined;

type TypedField = 'floatData' | 'int32Data' | 'int64Data' | 'uint64Data' | 'doubleData';

interface ElementType {
  /** Holds the element in raw data: for half floats and bool, the bits; of packed integers, one element once they are unpacked. */
  readonly array:
    | Float32ArrayConstructor
    | Float64ArrayConstructor
    | Int8ArrayConstructor
    | Uint8ArrayConstructor
    | Int16ArrayConstructor
    | Uint16ArrayConstructor
    | Int32ArrayConstructor
    | Uint32ArrayConstructor
    | BigInt64ArrayConstructor
    | BigUint64ArrayConstructor;
  /** Field that holds the elements where `raw_data` does not. */
  readonly field: TypedField;
}

const elementTypes: Readonly<Record<DType, ElementType>> = {
  float32: { array: Float32Array, field: 'floatData' },
  float64: { array: Float64Array, field: 'doubleData' },
  float16: { array: Uint16Array, field: 'int32Data' },
  bfloat16: { array: Uint16Array, field: 'int32Data' },
  int8: { array: Int8Array, field: 'int32Data' },
  uint8: { array: Uint8Array, field: 'int32Data' },
  bool: { array: Uint8Array, field: 'int32Data' },
  int16: { array: Int16Array, field: 'int32Data' },
  uint16: { array: Uint16Array, field: 'int32Data' },
  int32: { array: Int32Array, field: 'int32Data' },
  uint32: { array: Uint32Array, field: 'uint64Data' },
  int64: { array: BigInt64Array, field: 'int64Data' },
  uint64: { array: BigUint64Array, field: 'uint64Data' },
  int4: { array: Int8Array, field: 'int32Data' },
  uint4: { array: Uint8Array, field: 'int32Data' },
  int2: { array: Int8Array, field: 'int32Data' },
  uint2: { array: Uint8Array, field: 'int32Data' },
};

/** ONNX's name of a data type number. */
export function dataTypeName(dataType: number): string {
  return (DataType as Record<number, string | undefined>)[dataType] ?? `number ${dataType}`;
}

const known = new Set<string>([
  'dims',
  'dataType',
  'name',
  'rawData',
  'floatData',
  'int32Data',
  'int64Data',
  'uint64Data',
  'doubleData',
  'externalData',
  'dataLocation',
]);

/**
 * The tensor `proto` holds, or undefined and a problem. The data may be a view of the file's bytes.
 * @param label what to call the tensor in problems.
 */
export function decodeTensor(
  proto: TensorProto,
  label: string,
  problems: Problems,
  externalData: ExternalData | undefined,
): Tensor | undefined {
  const fail = (reason: string): undefined => {
    problems.add(reason, label);
  };
  const dtype = dtypeFromNumber(proto.dataType);
  if (!dtype) return fail(`tensor of type ${dataTypeName(proto.dataType)}, which is not supported`);
  const type = elementTypes[dtype];
  const shape: number[] = [];
  let count = 1;
  for (const dim of proto.dims) {
    if (dim < 0n) return fail(`tensor with a negative dimension (${dim})`);
    if (dim > MAX_ELEMENTS) return fail(`tensor with a dimension of ${dim}, more than Octet can hold`);
    shape.push(Number(dim));
    count *= Number(dim);
  }
  if (count > MAX_ELEMENTS) return fail(`tensor of shape [${shape}] has more elements than Octet can hold`);
  if (proto.segment) return fail('tensor stored in segments, which is not supported');

  let bits: TensorData | string;
  const size = byteLength(dtype, count);
  const read = (bytes: Uint8Array): TensorData =>
    packedBits[dtype] ? unpack(bytes, dtype, count) : viewAs(type, bytes, count);
  if (proto.dataLocation === TensorProto_DataLocation.EXTERNAL) {
    const bytes = externalBytes(proto, size, externalData);
    bits = typeof bytes === 'string' ? bytes : read(bytes);
  } else if (proto.rawData.length > 0 || count === 0) {
    bits =
      proto.rawData.length === size
        ? read(proto.rawData)
        : `raw_data has ${proto.rawData.length} bytes, but shape [${shape}] of ${dtype} needs ${size}`;
  } else {
    bits = typedField(proto, dtype, shape, count);
  }
  if (typeof bits === 'string') return fail(bits);

  let data = bits;
  if (dtype === 'float16') data = widenFloat16(bits as Uint16Array);
  if (dtype === 'bfloat16') data = widenBfloat16(bits as Uint16Array);
  return { name: proto.name, dtype, shape, data, ...readExtras(TensorProtoSchema, proto, known) };
}

/** Bytes that `count` elements take in raw data. */
function byteLength(dtype: DType, count: number): number {
  const bits = packedBits[dtype];
  return bits ? Math.ceil((count * bits) / 8) : count * elementTypes[dtype].array.BYTES_PER_ELEMENT;
}

/** Integers of 4 or 2 bits, one byte each. */
function unpack(bytes: Uint8Array, dtype: DType, count: number): TensorData {
  const bits = packedBits[dtype]!;
  const data = new (elementTypes[dtype].array as Int8ArrayConstructor | Uint8ArrayConstructor)(count);
  // Moved to the top of a word, the sign bit is where the shift back wants it.
  const isSigned = data instanceof Int8Array;
  for (let i = 0; i < count; i++) {
    const top = bytes[(i * bits) >> 3] << (32 - bits - ((i * bits) & 7));
    data[i] = isSigned ? top >> (32 - bits) : top >>> (32 - bits);
  }
  return data;
}

function pack(data: TensorData, bits: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil((data.length * bits) / 8));
  const mask = 2 ** bits - 1;
  for (let i = 0; i < data.length; i++)
    bytes[(i * bits) >> 3] |= (Number(data[i]) & mask) << ((i * bits) & 7);
  return bytes;
}

function viewAs({ array }: ElementType, bytes: Uint8Array, count: number): TensorData {
  // Typed arrays need aligned offsets, and protobuf aligns nothing. (Not slice(): that of a Buffer does not copy.)
  const aligned = bytes.byteOffset % array.BYTES_PER_ELEMENT === 0 ? bytes : new Uint8Array(bytes);
  return new array(aligned.buffer as ArrayBuffer, aligned.byteOffset, count);
}

function typedField(
  proto: TensorProto,
  dtype: DType,
  shape: readonly number[],
  count: number,
): TensorData | string {
  const { array, field } = elementTypes[dtype];
  const values = proto[field];
  // One entry is a byte of packed integers.
  const needed = packedBits[dtype] ? byteLength(dtype, count) : count;
  if (values.length !== needed) {
    return `tensor has ${values.length} values, but shape [${shape}] needs ${needed}`;
  }
  if (packedBits[dtype]) return unpack(Uint8Array.from(values as number[]), dtype, count);
  // float_data and double_data are as they should be; integer fields are wider than what they hold.
  const data = typeof values[0] === 'bigint' && dtype === 'uint32' ? values.map(Number) : values;
  const out = (array as { from(values: ArrayLike<number | bigint>): TensorData }).from(data);
  if (field === 'int32Data' || field === 'uint64Data') {
    for (let i = 0; i < count; i++) {
      if (out[i] !== data[i]) return `value ${String(data[i])} at index ${i} does not fit ${dtype}`;
    }
  }
  return out;
}

/** The bytes of an externally stored tensor, or what is wrong. */
function externalBytes(
  proto: TensorProto,
  size: number,
  externalData: ExternalData | undefined,
): Uint8Array | string {
  const entries = new Map(proto.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location') ?? '';
  if (!isSafeLocation(location)) {
    return `external data at "${location}": only a relative path inside the model's folder is allowed`;
  }
  const offset = parseSize(entries.get('offset') ?? '0');
  const length = parseSize(entries.get('length') ?? String(size));
  if (offset === undefined || length === undefined) {
    return `external data in "${location}": offset and length must be non-negative integers`;
  }
  if (length !== size) {
    return `external data in "${location}" has ${length} bytes, but the tensor needs ${size}`;
  }
  if (!externalData) return `weights are in the external file "${location}", which was not given`;
  const file = externalData(location);
  if (!file) return `external file "${location}" was not found`;
  if (offset + length > file.length) {
    return `external file "${location}" has ${file.length} bytes, but bytes ${offset} to ${offset + length} are asked for`;
  }
  return file.subarray(offset, offset + length);
}

/** How often all of a model's external data may be read: tensors may share bytes, but each may become a copy. */
const MAX_READINGS = 8;

/** Reports tensors that read the same external bytes over and over: their copies would take any memory. */
export function checkExternalReadings(
  tensors: readonly TensorProto[],
  externalData: ExternalData,
  problems: Problems,
): void {
  const sizes = new Map<string, number>();
  let read = 0;
  for (const { dataLocation, dataType, dims, externalData: entries } of tensors) {
    const location = entries.find(({ key }) => key === 'location')?.value ?? '';
    const dtype = dtypeFromNumber(dataType);
    if (dataLocation !== TensorProto_DataLocation.EXTERNAL || !dtype) continue;
    const size = sizes.get(location) ?? externalData(location)?.length ?? 0;
    sizes.set(location, size);
    read += Math.min(size, byteLength(dtype, Number(dims.reduce((product, dim) => product * dim, 1n))));
  }
  const size = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  if (read > MAX_READINGS * size + 2 ** 20) {
    problems.add(`its tensors read ${read} bytes of external data, of which there are ${size}`);
  }
}

function parseSize(text: string): number | undefined {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  return Number(text);
}

/**
 * Relative, without drive letters, schemes, backslashes, control characters (URL parsers drop some), or a way up
 * (ONNX, ExternalData.md): no part of dots alone but `.`, percent-encoded or followed by spaces, which Windows
 * drops.
 */
function isSafeLocation(location: string): boolean {
  // eslint-disable-next-line no-control-regex
  if (!/^[^/\\:\u0000-\u001f\u007f][^\\:\u0000-\u001f\u007f]*$/.test(location)) return false;
  return !location.split('/').some((part) => /^\.[. ]+$/.test(part.replaceAll(/%2e/gi, '.')));
}

/** Names of the external files that hold tensors of `tensors`, each once. */
export function externalLocations(tensors: readonly TensorProto[]): string[] {
  const locations = new Set<string>();
  for (const tensor of tensors) {
    if (tensor.dataLocation !== TensorProto_DataLocation.EXTERNAL) continue;
    const location = tensor.externalData.find(({ key }) => key === 'location')?.value ?? '';
    if (isSafeLocation(location)) locations.add(location);
  }
  return [...locations];
}

/** `tensor` as a message with raw data (a view, where no narrowing is needed). */
export function encodeTensor(tensor: Tensor): TensorProto {
  let bits = tensor.data;
  if (tensor.dtype === 'float16') bits = narrowFloat16(bits as Float32Array);
  if (tensor.dtype === 'bfloat16') bits = narrowBfloat16(bits as Float32Array);
  const packed = packedBits[tensor.dtype];
  const proto = create(TensorProtoSchema, {
    name: tensor.name,
    dataType: dtypeNumbers[tensor.dtype],
    dims: tensor.shape.map(BigInt),
    rawData: packed
      ? pack(bits, packed)
      : new Uint8Array(bits.buffer as ArrayBuffer, bits.byteOffset, bits.byteLength),
  });
  return writeExtras(TensorProtoSchema, proto, tensor.extras);
}
