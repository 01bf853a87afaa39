/** Bounds of a file, checked before anything is made of it: it is untrusted, and objects take many times its bytes. */
import { type DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { GraphProto, ValueInfoProto } from 'onnx-buf';
import { ModelError, type ModelProblem, shorten } from '../errors.ts';
import { MAX_INITIALIZERS, MAX_NAME, MAX_NODES, MAX_OPERANDS, MAX_PORTS, MAX_RANK } from '../graph/limits.ts';

/**
 * Messages that a file of `bytes` may hold, nested ones included. A decoded message takes some hundred bytes, an
 * empty one two in the file.
 */
const messageLimit = (bytes: number): number => 131_072 + bytes / 16;

/** Deeper messages are refused by the decoder. */
const MAX_DEPTH = 100;

/**
 * Whether `bytes` hold no more messages than a file of their length should, without decoding them.
 *
 * @throws {Error} they are not in protobuf's wire format
 */
export function hasFewMessages(desc: DescMessage, bytes: Uint8Array): boolean {
  const reader = new BinaryReader(bytes);
  const limit = messageLimit(bytes.length);
  let count = 0;
  const scan = (parent: DescMessage, end: number, depth: number): void => {
    const children = childrenOf(parent);
    while (reader.pos < end && count <= limit) {
      const [number, wireType] = reader.tag();
      const child = wireType === WireType.LengthDelimited ? children.get(number) : undefined;
      if (!child) {
        reader.skip(wireType, number);
        continue;
      }
      count++;
      const childEnd = reader.uint32() + reader.pos;
      if (childEnd > end) throw new RangeError('a message ends beyond its parent');
      if (depth < MAX_DEPTH) scan(child, childEnd, depth + 1);
      reader.pos = childEnd;
    }
  };
  scan(desc, bytes.length, 0);
  return count <= limit;
}

const knownChildren = new Map<DescMessage, ReadonlyMap<number, DescMessage>>();

/** Types of the fields of a message that are messages. */
function childrenOf(desc: DescMessage): ReadonlyMap<number, DescMessage> {
  let children = knownChildren.get(desc);
  if (!children) {
    children = new Map(desc.fields.flatMap(({ number, message }) => (message ? [[number, message]] : [])));
    knownChildren.set(desc, children);
  }
  return children;
}

/** @throws {ModelError} where counts, ranks or names of the graph, or of one inside it, are out of bounds */
export function checkLimits(graph: GraphProto): void {
  const problems: ModelProblem[] = [];
  const add = (reason: string, node = '', op = '') =>
    problems.push({ node: shorten(node, MAX_NAME), op: shorten(op, MAX_NAME), reason });
  const check = (count: number, most: number, what: string, node?: string, op?: string) => {
    if (count > most) add(`${what}; Octet takes at most ${most}`, node, op);
  };
  const checkName = (name: string, what: string) =>
    check(name.length, MAX_NAME, `the name of ${what} has ${name.length} characters`, name);
  const checkShape = (info: ValueInfoProto) => {
    const type = info.type?.value;
    const dims = type?.case === 'tensorType' ? (type.value.shape?.dim ?? []) : [];
    check(dims.length, MAX_RANK, `the value has ${dims.length} dimensions`, info.name);
    for (const { value: dim } of dims) {
      if (dim.case === 'dimParam') checkName(dim.value, 'a dimension');
    }
  };

  check(graph.node.length, MAX_NODES, `the graph has ${graph.node.length} nodes`);
  check(graph.initializer.length, MAX_INITIALIZERS, `the graph has ${graph.initializer.length} initializers`);
  check(graph.output.length, MAX_PORTS, `the graph has ${graph.output.length} outputs`);
  const initializers = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !initializers.has(name)).length;
  check(inputs, MAX_PORTS, `the graph has ${inputs} inputs`);
  // What follows costs time for each of them.
  if (problems.length > 0) throw new ModelError(problems);

  for (const { name, dims } of graph.initializer) {
    checkName(name, 'an initializer');
    check(dims.length, MAX_RANK, `the tensor has ${dims.length} dimensions`, name);
  }
  for (const info of [...graph.input, ...graph.output, ...graph.valueInfo]) {
    checkName(info.name, 'a value');
    checkShape(info);
  }
  for (const { name, opType, domain, input, output, attribute } of graph.node) {
    checkName(name, 'a node');
    checkName(opType, 'an operator');
    checkName(domain, 'a domain');
    check(input.length, MAX_OPERANDS, `has ${input.length} inputs`, name, opType);
    check(output.length, MAX_OPERANDS, `has ${output.length} outputs`, name, opType);
    check(attribute.length, MAX_OPERANDS, `has ${attribute.length} attributes`, name, opType);
    for (const each of input) checkName(each, 'a value');
    for (const each of output) checkName(each, 'a value');
    for (const each of attribute) {
      checkName(each.name, 'an attribute');
      const rank = each.t?.dims.length ?? 0;
      check(
        rank,
        MAX_RANK,
        `its attribute ${shorten(each.name, MAX_NAME)} has ${rank} dimensions`,
        name,
        opType,
      );
    }
  }
  if (problems.length > 0) throw new ModelError(problems);
  for (const { g } of graph.node.flatMap(({ attribute }) => attribute)) if (g) checkLimits(g);
}
