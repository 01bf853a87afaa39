/** ONNX messages written by hand, for files that the encoder would not write. */
import { create, type DescMessage, type Message, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType,
  type AttributeProtoSchema,
  type GraphProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataType as DataType,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from 'onnx-buf';

type Init<Desc extends DescMessage> = Exclude<MessageInitShape<Desc>, Message>;
export type NodeInit = Init<typeof NodeProtoSchema>;
export type TensorInit = Init<typeof TensorProtoSchema>;
export type GraphInit = Init<typeof GraphProtoSchema>;
export type AttributeInit = Init<typeof AttributeProtoSchema>;
export type ValueInfoInit = Init<typeof ValueInfoProtoSchema>;
export type ModelInit = Init<typeof ModelProtoSchema>;

export function attribute(
  name: string,
  value: number | string | readonly number[] | TensorInit,
): AttributeInit {
  if (typeof value === 'string')
    return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: BigInt(value) };
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: (value as number[]).map(BigInt) };
  return { name, type: AttributeType.TENSOR, t: value as TensorInit };
}

export function floatAttribute(name: string, value: number): AttributeInit {
  return { name, type: AttributeType.FLOAT, f: value };
}

export function node(
  opType: string,
  input: string[],
  output: string[],
  attributes: AttributeInit[] = [],
  rest: Partial<NodeInit> = {},
): NodeInit {
  return { opType, input, output, attribute: attributes, ...rest };
}

export function floats(name: string, dims: readonly number[], values: readonly number[]): TensorInit {
  return { name, dataType: DataType.FLOAT, dims: dims.map(BigInt), floatData: [...values] };
}

export function int64s(name: string, values: readonly number[]): TensorInit {
  return { name, dataType: DataType.INT64, dims: [BigInt(values.length)], int64Data: values.map(BigInt) };
}

export function value(
  name: string,
  shape: readonly (number | string)[],
  elemType = DataType.FLOAT,
): ValueInfoInit {
  const dim = shape.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : { case: 'dimParam' as const, value: size },
  }));
  return { name, type: { value: { case: 'tensorType', value: { elemType, shape: { dim } } } } };
}

/** A model of `graph` in the given opset; `rest` overrides fields of the model. */
export function modelBytes(graph: GraphInit, opset = 17, rest: Partial<ModelInit> = {}): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    graph: { name: 'test', ...graph },
    ...rest,
  });
  return toBinary(ModelProtoSchema, model);
}
