/** A `Graph` to ONNX bytes. */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { check } from '../arguments.ts';
import { dtypeNumbers } from '../graph/dtypes.ts';
import type { Attribute, Graph, Node, ValueInfo } from '../graph/graph.ts';
import { writeExtras } from './extras.ts';
import { operatorOf } from '../graph/operators/registry.ts';
import type { AttributeKind } from '../graph/operators/signature.ts';
import { graphSchema } from './graph-schema.ts';
import { encodeTensor } from './tensor.ts';

/** First opset of each IR version since 4 (https://onnx.ai/onnx/repo-docs/Versioning.html). */
const irVersions: readonly (readonly [opset: number, irVersion: number])[] = [
  [25, 13],
  [24, 12],
  [23, 11],
  [21, 10],
  [19, 9],
  [15, 8],
  [12, 7],
  [11, 6],
  [10, 5],
];

/**
 * Encodes `graph` as an ONNX model of its opset, weights as little-endian raw data. What `decodeModel` did not interpret
 * (`extras`) is written back. Decoding the result gives the same graph.
 * @throws {InputError} no graph
 */
export function encodeModel(graph: Graph): Uint8Array<ArrayBuffer> {
  check('encodeModel', { graph: graphSchema }, { graph });
  const graphProto = create(GraphProtoSchema, {
    name: graph.name,
    node: graph.nodes.map((node) => encodeNode(graph, node)),
    initializer: [...graph.constants.values()].map(encodeTensor),
    input: graph.inputs.map(encodeValueInfo),
    output: graph.outputs.map(encodeValueInfo),
    valueInfo: innerValues(graph).map(encodeValueInfo),
  });
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(irVersions.find(([opset]) => graph.opset >= opset)?.[1] ?? 4),
    producerName: 'octet',
    opsetImport: [{ domain: '', version: BigInt(graph.opset) }],
    metadataProps: [...graph.metadata].map(([key, value]) => ({ key, value })),
    graph: writeExtras(GraphProtoSchema, graphProto, graph.extras?.graph),
  });
  return toBinary(ModelProtoSchema, writeExtras(ModelProtoSchema, model, graph.extras?.model));
}

/**
 * Values to declare. Before opset 22, ONNX's own inference gives a pool with `ceil_mode` a last window that every runtime
 * drops, and ONNX Runtime refuses a file that declares the shape it then computes: such a graph declares none.
 */
function innerValues(graph: Graph): ValueInfo[] {
  if (graph.opset < 22 && graph.nodes.some(({ attributes }) => attributes.ceil_mode === 1)) return [];
  const outer = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  return [...graph.values.values()].filter(({ name }) => !outer.has(name));
}

function encodeValueInfo(info: ValueInfo): ValueInfoProto {
  const proto = create(ValueInfoProtoSchema, {
    name: info.name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: dtypeNumbers[info.dtype],
          shape: {
            dim: info.shape.map((dim) => ({
              value:
                typeof dim === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(dim) }
                  : { case: 'dimParam' as const, value: dim },
            })),
          },
        },
      },
    },
  });
  return writeExtras(ValueInfoProtoSchema, proto, info.extras);
}

function encodeNode(graph: Graph, node: Node): NodeProto {
  const spec = operatorOf(graph, node);
  const dot = node.op.lastIndexOf('.');
  const proto = create(NodeProtoSchema, {
    name: node.name,
    opType: node.op.slice(dot + 1),
    ...(dot > 0 && { domain: node.op.slice(0, dot) }),
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: Object.entries(node.attributes).map(([name, value]) =>
      encodeAttribute(name, value, spec?.attributes[name]?.kind ?? kindOf(value)),
    ),
  });
  return writeExtras(NodeProtoSchema, proto, node.extras);
}

/** The kind of an attribute that no specification tells, from its value. */
function kindOf(value: Attribute): AttributeKind {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  if (typeof value === 'string') return 'string';
  if ('dtype' in value) return 'tensor';
  if (value.some((element) => typeof element === 'string')) return 'strings';
  return value.every((element) => Number.isInteger(element)) ? 'ints' : 'floats';
}

function encodeAttribute(name: string, value: Attribute, kind: AttributeKind): AttributeProto {
  const type = AttributeType[kind.toUpperCase() as Uppercase<AttributeKind>];
  const bytes = (text: string) => new TextEncoder().encode(text);
  const common = { name, type };
  switch (kind) {
    case 'int':
      return create(AttributeProtoSchema, { ...common, i: BigInt(value as number) });
    case 'float':
      return create(AttributeProtoSchema, { ...common, f: value as number });
    case 'string':
      return create(AttributeProtoSchema, { ...common, s: bytes(value as string) });
    case 'ints':
      return create(AttributeProtoSchema, { ...common, ints: (value as number[]).map(BigInt) });
    case 'floats':
      return create(AttributeProtoSchema, { ...common, floats: [...(value as number[])] });
    case 'strings':
      return create(AttributeProtoSchema, { ...common, strings: (value as string[]).map(bytes) });
    case 'tensor':
      return create(AttributeProtoSchema, { ...common, t: encodeTensor(value as never) });
  }
}
