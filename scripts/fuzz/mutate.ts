/** Seeded mutations of small ONNX files: of bytes, of fields, and of the structure of the graph. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, ModelProtoSchema, NodeProtoSchema } from 'onnx-buf';
import { allOperators } from '../../src/graph/operators/host-registry.ts';
import { assumedQuantization } from '../../src/model/support.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { everythingModel } from '../../test/support/everything-model.ts';
import { floatNets } from '../../test/support/onnx-models.ts';
import { createRandom, type Random } from '../../test/support/random.ts';

/** Valid files of some kilobytes: float networks, the same quantized, and one with all that the decoder reads. */
export function seedFiles(): Uint8Array[] {
  const nets = Object.values(floatNets).map((net, seed) => net(seed));
  return [
    everythingModel,
    ...nets.map(encodeModel),
    ...nets.map((net) => encodeModel(assumedQuantization(net, { min: -1, max: 1 }))),
  ];
}

/** Mutation `index` of the run `seed`: the same bytes each time. */
export function mutation(files: readonly Uint8Array[], seed: number, index: number): Uint8Array {
  const random = createRandom((seed * 0x9e3779b1 + index * 0x85ebca6b) >>> 0);
  const file = random.pick(files);
  if (index % 3 === 0) return mutateBytes(file, random);
  const model = fromBinary(ModelProtoSchema, file);
  for (let times = random.int(1, 3); times > 0; times--) {
    if (index % 3 === 1) mutateField(model, random);
    else mutateStructure(model.graph!, random);
  }
  return toBinary(ModelProtoSchema, model);
}

function mutateBytes(file: Uint8Array, random: Random): Uint8Array {
  const at = random.int(0, file.length - 1);
  const length = random.int(1, Math.min(64, file.length - at));
  const bytes = file.slice();
  switch (random.int(0, 4)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Uint8Array.from(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]));
    case 2:
      return Uint8Array.from(Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]));
    default:
      for (let flips = random.int(1, 8); flips > 0; flips--) {
        bytes[random.int(0, bytes.length - 1)] ^= random.int(1, 255);
      }
      return bytes;
  }
}

type Fields = Record<string, unknown>;

function isMessage(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && '$typeName' in value;
}

/** `root` and all messages below it. */
function messagesIn(root: Fields): Fields[] {
  const found: Fields[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
      if (isMessage(value)) found.push(value);
      Object.values(value).forEach(visit);
    }
  };
  visit(root);
  return found;
}

const integers = [0, 1, -1, 2, 3, 7, 127, 255, 65_535, 2 ** 24, 2 ** 31 - 1, -(2 ** 31)];
const bigIntegers = [
  0n,
  1n,
  -1n,
  2n,
  5n,
  23_170n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];
const reals = [0, -0, 1, -1, 0.1, 1e-45, 3.4e38, -3.4e38, NaN, Infinity, -Infinity];
const texts = ['', 'x', '__proto__', 'constructor', 'N', '\0', '../x', 'é'.repeat(2000)];

/** Another value of the same type, of those that programs trip over. */
function otherValue(value: unknown, random: Random): unknown {
  if (typeof value === 'bigint') return random.pick(bigIntegers);
  if (typeof value === 'number') return random.pick(Number.isInteger(value) ? integers : reals);
  return typeof value === 'string' ? random.pick(texts) : value;
}

function mutateField(model: ModelProto, random: Random): void {
  const message = random.pick(messagesIn(model as unknown as Fields));
  const names = Object.keys(message).filter((name) => !name.startsWith('$'));
  if (names.length === 0) return;
  const name = random.pick(names);
  const value = message[name];
  if (Array.isArray(value)) mutateList(value as unknown[], random);
  else if (value instanceof Uint8Array)
    message[name] = mutateBytes(value.length > 0 ? value : new Uint8Array(4), random);
  else if (isMessage(value)) message[name] = undefined;
  else message[name] = otherValue(value, random);
}

function mutateList(list: unknown[], random: Random): void {
  if (list.length === 0) return;
  const at = random.int(0, list.length - 1);
  switch (random.int(0, 4)) {
    case 0:
      list.splice(at, 1);
      break;
    case 1:
      list.splice(at, 0, list[random.int(0, list.length - 1)]);
      break;
    case 2:
      for (let copies = random.pick([10, 100, 3000]); copies > 0; copies--) list.push(list[at]);
      break;
    case 3:
      list.reverse();
      break;
    default:
      list[at] = otherValue(list[at], random);
  }
}

function mutateStructure(graph: GraphProto, random: Random): void {
  const { node: nodes, initializer } = graph;
  if (nodes.length === 0) return;
  const node = random.pick(nodes);
  const names = [
    ...graph.input.map(({ name }) => name),
    ...initializer.map(({ name }) => name),
    ...nodes.flatMap(({ output }) => output),
  ];
  const copy = () => create(NodeProtoSchema, { ...node, $unknown: [] });
  switch (random.int(0, 9)) {
    case 0:
      nodes.splice(nodes.indexOf(node), 1);
      break;
    case 1:
      node.input[random.int(0, node.input.length)] = random.pick(names);
      break;
    case 2:
      node.output[0] = random.pick(names);
      break;
    case 3:
      node.opType = random.pick([...allOperators.keys()]);
      break;
    case 4: {
      // Between a value and all who read it.
      const [from = ''] = node.output;
      for (const other of nodes)
        other.input = other.input.map((name) => (name === from ? `${from}.more` : name));
      const op = random.pick(['Relu', 'MaxPool', 'Flatten', 'Softmax', 'Identity', 'Sigmoid', 'Transpose']);
      nodes.push(create(NodeProtoSchema, { opType: op, input: [from], output: [`${from}.more`] }));
      break;
    }
    case 5: {
      // Readers by the thousand.
      const count = random.pick([10, 1000]);
      for (let i = 0; i < count; i++) nodes.push({ ...copy(), output: [`${node.output[0] ?? ''}.${i}`] });
      break;
    }
    case 6:
      random.pick(graph.output).name = random.pick(names);
      break;
    case 7: {
      const tensor = initializer.length > 0 ? random.pick(initializer) : undefined;
      if (tensor) tensor.dims = random.chance(0.5) ? tensor.dims.toReversed() : [...tensor.dims, 1n];
      break;
    }
    case 8:
      node.attribute = random.pick(nodes).attribute;
      break;
    default: {
      const type = random.pick([...graph.input, ...graph.output, ...graph.valueInfo]).type?.value;
      if (type?.case !== 'tensorType') break;
      const dims = type.value.shape?.dim ?? [];
      const dim = dims.length > 0 ? random.pick(dims) : undefined;
      if (dim) dim.value = { case: 'dimValue', value: random.pick(bigIntegers) };
    }
  }
}
