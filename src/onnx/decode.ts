/** ONNX bytes to a `Graph`. The file is untrusted: whatever is wrong with it becomes one ModelError. */
import { fromBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { ModelError } from '../errors.ts';
import { dtypeFromNumber } from '../graph/dtypes.ts';
import type { Attribute, Branch, Dimension, Graph, Node, Tensor, ValueInfo } from '../graph/graph.ts';
import { constant } from '../graph/operators/constant.ts';
import { convTranspose } from '../graph/operators/conv-transpose.ts';
import { conv } from '../graph/operators/conv.ts';
import type { OnnxOperator } from '../graph/operators/operator.ts';
import { onnxOperators } from '../graph/operators/registry.ts';
import type { AttributeKind } from '../graph/operators/signature.ts';
import { batchFirst } from '../graph/passes/batch-first.ts';
import { channelShuffle } from '../graph/passes/channel-shuffle.ts';
import { type InputShape, openSizes, withInputShape } from '../graph/passes/input-shape.ts';
import { dequantizeIntegers } from '../graph/passes/integer-operators.ts';
import type { MorePasses } from '../graph/passes/more-passes.ts';
import { normalize } from '../graph/passes/normalize.ts';
import { removeUnused } from '../graph/passes/remove-unused.ts';
import { settle } from '../graph/passes/settle.ts';
import { Problems } from '../graph/problems.ts';
import { sortNodes } from '../graph/topology.ts';
import { Names } from '../graph/rewrite.ts';
import { checkLimits, hasFewMessages } from './limits.ts';
import { readExtras } from './extras.ts';
import {
  checkExternalReadings,
  dataTypeName,
  decodeTensor,
  type ExternalData,
  externalLocations,
} from './tensor.ts';

export interface DecodeModelOptions {
  /** Gives the bytes of an external data file. Names come from `OnnxFile.externalData`. */
  readonly externalData?: ExternalData;
  /** Rows of operators beyond the built-in ones. */
  readonly operators?: readonly OnnxOperator[];
  /** Sizes of dimensions that the file leaves open. */
  readonly inputShape?: InputShape;
}

interface DecodeOptions extends DecodeModelOptions {
  /** Passes over forms that few files have, where `needsMore` says so. */
  readonly passes?: MorePasses;
}

/** Range of default operator sets that Octet reads. */
const MIN_OPSET = 7;
const MAX_OPSET = 28;

/** A file that has been parsed. */
export interface OnnxFile {
  /** Whether it has nodes of other operators than those of the first table (registry.ts), or windows over signals or volumes. */
  readonly needsMore: boolean;
  /** Locations of the files that its weights lie in, relative to its folder. */
  readonly externalData: readonly string[];
  /**
   * @throws {ModelError} with every problem of the file
   * @throws {InputError} `inputShape` does not fit it
   */
  decode(options: DecodeOptions): Network;
}

/** A decoded file, whose inputs may leave sizes open. */
export interface Network {
  /** With open sizes as the file names them. */
  readonly graph: Graph;
  /**
   * The graph with these sizes for them; null where none is open. The file's constants are decoded once: those that no pass changes are the
   * same objects in every graph.
   * @throws {ModelError} the nodes that such sizes do not fit
   */
  readonly at: ((sizes: InputShape) => Graph) | null;
}

/**
 * Parses a file once, for who must fetch its external data before it can be decoded.
 * @throws {ModelError} `bytes` is no ONNX model
 */
export function openModel(bytes: Uint8Array): OnnxFile {
  const model = parseModel(bytes);
  return {
    needsMore: model.graph!.node.some((node) => !onnxOperators.has(typeOf(node)) || mayHaveOtherWindow(node)),
    get externalData() {
      return externalLocations(tensorsOf(model.graph!));
    },
    decode: (options) => decodeParsed(model, options),
  };
}

/** Tensors of the graph and of those inside it, as far down as there may be any. */
function tensorsOf({ initializer, node }: GraphProto): TensorProto[] {
  const attributes = node.flatMap(({ attribute }) => attribute);
  return [
    ...initializer,
    ...attributes.flatMap(({ t, g }) => [...(t ? [t] : []), ...(g ? tensorsOf(g) : [])]),
  ];
}

/** Whether it has a window that is not over images, or that its weights tell alone. */
function mayHaveOtherWindow({ opType, attribute }: NodeProto): boolean {
  const kernel = attribute.find(({ name }) => name === 'kernel_shape');
  return kernel ? kernel.ints.length !== 2 : opType === conv.op || opType === convTranspose.op;
}

function decodeParsed(model: ModelProto, { inputShape, passes, ...options }: DecodeOptions): Network {
  const problems = new Problems();
  const asWritten = importModel(model, options, problems);
  const file = passes ? passes.windows(asWritten) : asWritten;
  const imported = inputShape ? withInputShape(file, inputShape) : file;
  const graph = completed(imported, problems, passes);
  const isOpen = openSizes(graph.inputs).length > 0;
  const at = (sizes: InputShape) =>
    completed(withInputShape(imported, sizes), new Problems(file.opset), passes);
  return { graph, at: isOpen ? at : null };
}

/** What of an imported graph depends on the sizes of its inputs. */
function completed(imported: Graph, problems: Problems, passes: MorePasses | undefined): Graph {
  const sized = settle(imported, problems);
  const viewed = passes ? passes.views(sized, settle) : sized;
  const settled = viewed === sized ? sized : settle(viewed, problems);
  const normal = dequantizeIntegers(normalize(settled, problems));
  problems.throwIfAny();
  const graph = settle(normal, problems);
  problems.throwIfAny();
  return removeUnused(channelShuffle(withBatchFirst(graph, problems)));
}

/** Sizes that only the moved batch tells may decide on the form of nodes. */
function withBatchFirst(graph: Graph, problems: Problems): Graph {
  const moved = batchFirst(graph);
  if (moved === graph) return graph;
  const result = settle(normalize(moved, problems), problems);
  problems.throwIfAny();
  return result;
}

function parseModel(bytes: Uint8Array): ModelProto {
  if (bytes.length === 0) throw new ModelError('the file is empty');
  let model: ModelProto;
  try {
    if (!hasFewMessages(ModelProtoSchema, bytes)) {
      throw new ModelError('the file holds more parts than any model of its size');
    }
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    throw new ModelError(describeForeignFile(bytes) ?? 'not an ONNX model, or a truncated or damaged one', {
      cause,
    });
  }
  if (!model.graph || model.irVersion < 1n) {
    throw new ModelError(
      describeForeignFile(bytes) ?? 'not an ONNX model: there is no graph in it. The file may be truncated',
    );
  }
  checkLimits(model.graph);
  return model;
}

/** What a file that is no ONNX model looks like, for people who passed the wrong one. */
function describeForeignFile(bytes: Uint8Array): string | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 64));
  if (head.startsWith('version https://git-lfs')) {
    return 'this is a Git LFS pointer, not the model itself: run "git lfs pull"';
  }
  if (head.startsWith('PK')) return 'this is a ZIP archive (a PyTorch checkpoint?), not an ONNX model';
  if (head.slice(4, 8) === 'TFL3') return 'this is a TensorFlow Lite model, not an ONNX model';
  if (/^[\t\n\r\x20-\x7e]+$/.test(head)) {
    return `this is a text file, not an ONNX model: it starts with ${JSON.stringify(head.slice(0, 24))}`;
  }
  return undefined;
}

const modelKnown = new Set(['irVersion', 'producerName', 'producerVersion', 'graph', 'metadataProps']);
const graphKnown = new Set(['node', 'name', 'initializer', 'input', 'output', 'valueInfo']);
const nodeKnown = new Set(['name', 'opType', 'domain', 'input', 'output', 'attribute']);
const valueInfoKnown = new Set(['name', 'type']);

function importModel(model: ModelProto, options: DecodeModelOptions, problems: Problems): Graph {
  const proto = model.graph!;
  const opset = defaultOpset(model, problems);
  problems.opset = opset;

  if (options.externalData) {
    checkExternalReadings(tensorsOf(proto), options.externalData, problems);
    problems.throwIfAny();
  }

  const constants = new Map<string, Tensor>();
  // A tensor with a problem still defines its name, so that its readers are not reported as well.
  const broken = new Set<string>();
  for (const initializer of proto.initializer) {
    if (!initializer.name) {
      problems.add('an initializer has no name');
      continue;
    }
    if (constants.has(initializer.name) || broken.has(initializer.name)) {
      problems.add('two initializers have this name', initializer.name);
      continue;
    }
    const tensor = decodeTensor(initializer, initializer.name, problems, options.externalData);
    if (tensor && checkFinite(tensor, problems)) constants.set(initializer.name, tensor);
    else broken.add(initializer.name);
  }
  if (proto.sparseInitializer.length > 0) problems.add('sparse initializers are not supported');
  if (model.trainingInfo.length > 0) problems.add('training information is not supported');

  const inputs = proto.input
    // Before IR version 4, initializers were listed among the inputs too.
    .filter((info) => !constants.has(info.name) && !broken.has(info.name))
    .map((info) => importValueInfo(info, 'input', problems));
  const scope: Scope = {
    nodes: new Names(proto.node.map(({ name }) => name)),
    values: new Names([
      ...[...proto.initializer, ...proto.input].map(({ name }) => name),
      ...proto.node.flatMap(({ output }) => output),
    ]),
    renamed: new Map(),
    prefix: '',
  };
  const nodes = importNodes(proto.node, options, opset, constants, broken, problems, scope);
  const outputs = proto.output.map((info) => importValueInfo(info, 'output', problems));
  if (outputs.length === 0) problems.add('the graph has no outputs');
  if (inputs.length === 0) problems.add('the graph has no inputs');

  const values = new Map<string, ValueInfo>();
  for (const info of proto.valueInfo) {
    if (info.type && info.name && !constants.has(info.name)) {
      values.set(info.name, importValueInfo(info, 'value', problems));
    }
  }

  const sorted = sortNodes(nodes, inputs, outputs, new Set([...constants.keys(), ...broken]), problems);
  const otherDomains = {
    ...model,
    opsetImport: model.opsetImport.filter(({ domain }) => !isDefaultDomain(domain)),
  };
  const modelExtras = readExtras(ModelProtoSchema, otherDomains, modelKnown).extras;
  const graphExtras = readExtras(GraphProtoSchema, proto, graphKnown).extras;
  const used = new Set(withInner(sorted).map(({ op }) => op));
  const custom = new Map([...customRows(options)].filter(([op]) => used.has(op)));
  const extras = {
    ...(modelExtras && { model: modelExtras }),
    ...(graphExtras && { graph: graphExtras }),
  };
  return {
    name: proto.name,
    opset,
    inputs,
    outputs,
    nodes: sorted,
    constants,
    values,
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
    ...(custom.size > 0 && { operators: custom }),
    ...(Object.keys(extras).length > 0 && { extras }),
  };
}

function customRows({ operators = [] }: DecodeModelOptions): ReadonlyMap<string, OnnxOperator> {
  return new Map(operators.map((row) => [row.op, row]));
}

/** Operator type, with its domain where that is not ONNX's own. */
function typeOf({ domain, opType }: NodeProto): string {
  return isDefaultDomain(domain) ? opType : `${domain}.${opType}`;
}

function isDefaultDomain(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx';
}

function defaultOpset(model: ModelProto, problems: Problems): number {
  const versions = model.opsetImport.filter(({ domain }) => isDefaultDomain(domain));
  const version = Number(versions[0]?.version ?? 0);
  if (versions.length !== 1) {
    problems.add(
      `the model imports ${versions.length} versions of the default operator set, where one is needed. The file may be truncated`,
    );
  } else if (version < MIN_OPSET || version > MAX_OPSET) {
    problems.add(
      `the model uses opset ${version}; Octet reads ${MIN_OPSET} to ${MAX_OPSET}. Convert it with onnx.version_converter`,
    );
  }
  return version;
}

/** Reports NaN, which is wrong in any constant, and returns whether there is none. */
function checkFinite({ name, data }: Tensor, problems: Problems): boolean {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return true;
  // NaN makes the sum NaN, and so does 0 · ∞, at one multiply-add an element; which it was is looked up after.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i] * 0;
  const index = sum === 0 ? -1 : data.findIndex((value) => Number.isNaN(value));
  if (index >= 0) problems.add(`the constant has NaN at index ${index}`, name);
  return index < 0;
}

function importValueInfo(info: ValueInfoProto, kind: string, problems: Problems): ValueInfo {
  const { name } = info;
  const type = info.type?.value;
  if (!name) problems.add(`an ${kind} of the graph has no name`);
  const extras = readExtras(ValueInfoProtoSchema, info, valueInfoKnown);
  if (type?.case !== 'tensorType') {
    problems.add(`the ${kind} is not a tensor`, name);
    return { name, dtype: 'float32', shape: [], ...extras };
  }
  const dtype = dtypeFromNumber(type.value.elemType);
  if (!dtype) {
    problems.add(`the ${kind} has type ${dataTypeName(type.value.elemType)}, which is not supported`, name);
  }
  if (!type.value.shape && kind === 'input') problems.add('the input has no shape', name);
  const shape = (type.value.shape?.dim ?? []).map(({ value: dim }, axis): Dimension => {
    if (dim.case === 'dimParam' && dim.value) return dim.value;
    if (dim.case !== 'dimValue') return `${name}.${axis}`;
    if (dim.value < 0n || dim.value > 2 ** 31 - 1) {
      problems.add(`the ${kind} has dimension ${dim.value} on axis ${axis}`, name);
    }
    return Number(dim.value);
  });
  return { name, dtype: dtype ?? 'float32', shape, ...extras };
}

/** Names of a graph and of those around it. */
interface Scope {
  /** Of nodes and of values, over all graphs of the file. */
  readonly nodes: Names;
  readonly values: Names;
  /** What values of an inner graph are called, by the names that they have there. */
  readonly renamed: ReadonlyMap<string, string>;
  /** What names of nodes of an inner graph begin with. */
  readonly prefix: string;
}

/** Nodes of the file, with Constant nodes moved into `constants`. */
function importNodes(
  protos: readonly NodeProto[],
  options: DecodeModelOptions,
  opset: number,
  constants: Map<string, Tensor>,
  broken: Set<string>,
  problems: Problems,
  scope: Scope,
): Node[] {
  const custom = customRows(options);
  const seen = new Set<string>();
  const known = (names: readonly string[]) =>
    withoutTrailingEmpty(names).map((name) => scope.renamed.get(name) ?? name);
  const importBranch = (owner: string, graph: GraphProto): Branch => {
    const own = [...graph.initializer.map(({ name }) => name), ...graph.node.flatMap(({ output }) => output)];
    const renamed = new Map(scope.renamed);
    for (const name of own) if (name !== '') renamed.set(name, scope.values.fresh(`${owner}.${name}`));
    for (const initializer of graph.initializer) {
      const name = renamed.get(initializer.name) ?? '';
      const tensor = decodeTensor(initializer, name, problems, options.externalData);
      if (tensor && checkFinite(tensor, problems)) constants.set(name, { ...tensor, name });
      else broken.add(name);
    }
    const around = { ...scope, renamed, prefix: `${owner}.` };
    const inner = importNodes(graph.node, options, opset, constants, broken, problems, around);
    return { nodes: inner, outputs: graph.output.map(({ name }) => renamed.get(name) ?? name) };
  };
  const nodes: Node[] = [];
  for (const [index, proto] of protos.entries()) {
    const op = typeOf(proto);
    let name = proto.name;
    if (!name || seen.has(name) || scope.prefix !== '') {
      name = scope.nodes.fresh(`${scope.prefix}${name || `${op}_${index}`}`);
    }
    seen.add(name);

    const spec = custom.get(op) ?? onnxOperators.get(op);
    const partial = { name, op };
    const report = (reason: string) => problems.node(partial, reason);
    if (!spec) {
      report(
        isDefaultDomain(proto.domain)
          ? 'operator is not supported'
          : `operator is not supported: it is of the domain "${proto.domain}", not of ONNX itself`,
      );
    }
    if (spec) checkSignature(proto, spec, opset, report);
    const isBranch = ({ name: attribute, g }: AttributeProto) => g && spec?.branches?.includes(attribute);
    const branches = Object.fromEntries(
      proto.attribute.flatMap((each) =>
        isBranch(each) ? [[each.name, importBranch(`${name}.${each.name}`, each.g!)]] : [],
      ),
    );
    for (const missing of spec?.branches?.filter((each) => !Object.hasOwn(branches, each)) ?? [])
      report(`attribute ${missing} is missing`);
    const plain = proto.attribute.filter((each) => !isBranch(each));
    const attributes = importAttributes(plain, spec, opset, report, (attribute) =>
      importAttribute(attribute, `${name}.${attribute.name}`, report, problems, options.externalData),
    );
    const node: Node = {
      ...partial,
      inputs: [...known(proto.input), ...readAround(branches)],
      outputs: known(proto.output),
      attributes,
      ...(spec?.branches && { branches }),
      ...readExtras(NodeProtoSchema, proto, nodeKnown),
    };
    if (constant.is(node)) {
      const output = node.outputs[0] ?? '';
      const tensor = constantTensor(node, report);
      if (constants.has(output) || broken.has(output)) problems.add('two constants have this name', output);
      else if (tensor && checkFinite(tensor, problems)) constants.set(output, tensor);
      else broken.add(output);
    } else {
      nodes.push(node);
    }
  }
  return nodes;
}

/** Nodes, and those of their branches. */
function withInner(nodes: readonly Node[]): readonly Node[] {
  return nodes.flatMap((node) => [
    node,
    ...Object.values(node.branches ?? {}).flatMap((branch) => withInner(branch.nodes)),
  ]);
}

/** What branches read that none of their own nodes computes. */
function readAround(branches: Readonly<Record<string, Branch>>): string[] {
  return Object.values(branches).flatMap(({ nodes, outputs }) => {
    const own = new Set(nodes.flatMap((node) => node.outputs));
    const read = [...nodes.flatMap(({ inputs }) => inputs), ...outputs];
    return [...new Set(read)].filter((name) => name !== '' && !own.has(name));
  });
}

function withoutTrailingEmpty(names: readonly string[]): string[] {
  let length = names.length;
  while (length > 0 && names[length - 1] === '') length--;
  return names.slice(0, length);
}

function checkSignature(
  proto: NodeProto,
  spec: OnnxOperator,
  opset: number,
  report: (reason: string) => void,
): void {
  if (spec.since !== undefined && opset < spec.since) {
    report(`operator came with opset ${spec.since}, but the model says opset ${opset}`);
  }
  const [fewest, most] = spec.inputs;
  const inputs = withoutTrailingEmpty(proto.input);
  if (inputs.length < fewest || inputs.length > most || inputs.slice(0, fewest).includes('')) {
    const expected = fewest === most ? `${fewest}` : `${fewest} to ${most}`;
    report(`has ${inputs.filter(Boolean).length} inputs, expected ${expected}`);
  }
  // Of several outputs the first may be left out: an LSTM's last state is enough for many.
  const hasResult = spec.outputs > 1 ? proto.output.some(Boolean) : proto.output[0];
  if (!hasResult || proto.output.length > spec.outputs) {
    report(`has ${proto.output.filter(Boolean).length} outputs, expected 1 to ${spec.outputs}`);
  }
}

const kindOf: Partial<Record<AttributeType, AttributeKind>> = {
  [AttributeType.INT]: 'int',
  [AttributeType.FLOAT]: 'float',
  [AttributeType.STRING]: 'string',
  [AttributeType.INTS]: 'ints',
  [AttributeType.FLOATS]: 'floats',
  [AttributeType.STRINGS]: 'strings',
  [AttributeType.TENSOR]: 'tensor',
};

function importAttributes(
  protos: readonly AttributeProto[],
  spec: OnnxOperator | undefined,
  opset: number,
  report: (reason: string) => void,
  decodeValue: (proto: AttributeProto) => Attribute | undefined,
): Record<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const proto of protos) {
    const { name } = proto;
    if (attributes.has(name)) report(`attribute ${name} is given twice`);
    const kind = kindOf[proto.type];
    if (spec) {
      const expected = Object.hasOwn(spec.attributes, name) ? spec.attributes[name] : undefined;
      const { since = 0, until = Infinity } = expected ?? {};
      if (!expected || opset < since || opset >= until) {
        report(`attribute ${name} is not one of the operator's, or not supported`);
        continue;
      }
      if (kind !== expected.kind) {
        report(`attribute ${name} is of type ${AttributeType[proto.type]}, expected ${expected.kind}`);
        continue;
      }
    }
    const value = decodeValue(proto);
    if (value !== undefined) attributes.set(name, value);
  }
  for (const [name, { required, until = Infinity }] of Object.entries(spec?.attributes ?? {})) {
    if (required && opset < until && !protos.some((proto) => proto.name === name)) {
      report(`attribute ${name} is missing`);
    }
  }
  return Object.fromEntries(attributes);
}

function importAttribute(
  proto: AttributeProto,
  label: string,
  report: (reason: string) => void,
  problems: Problems,
  externalData: ExternalData | undefined,
): Attribute | undefined {
  const integer = (value: bigint): number => {
    if (!Number.isSafeInteger(Number(value))) report(`attribute ${proto.name} is out of range: ${value}`);
    return Number(value);
  };
  const finite = (value: number): number => {
    if (Number.isNaN(value)) report(`attribute ${proto.name} is NaN`);
    return value;
  };
  const text = (value: Uint8Array): string => new TextDecoder().decode(value);
  const kind = kindOf[proto.type];
  if (!kind) {
    report(`attribute ${proto.name} has type ${AttributeType[proto.type]}, which is not supported`);
    return undefined;
  }
  switch (kind) {
    case 'int':
      return integer(proto.i);
    case 'float':
      return finite(proto.f);
    case 'string':
      return text(proto.s);
    case 'ints':
      return proto.ints.map(integer);
    case 'floats':
      return proto.floats.map(finite);
    case 'strings':
      return proto.strings.map(text);
    case 'tensor':
      if (proto.t) return decodeTensor(proto.t, label, problems, externalData);
      report(`attribute ${proto.name} has no tensor`);
      return undefined;
  }
}

/** The tensor of a Constant node, named after its output. */
function constantTensor(node: Node, report: (reason: string) => void): Tensor | undefined {
  const name = node.outputs[0] ?? '';
  const entries = Object.entries(node.attributes);
  const [kind, value] = entries[0] ?? [];
  if (entries.length !== 1 || value === undefined) {
    report('a Constant needs exactly one of its value attributes');
    return undefined;
  }
  if (typeof value === 'object' && 'dtype' in value) return { ...value, name };
  const list = [value].flat() as number[];
  const shape = Array.isArray(value) ? [list.length] : [];
  return kind === 'value_int' || kind === 'value_ints'
    ? { name, dtype: 'int64', shape, data: BigInt64Array.from(list, BigInt) }
    : { name, dtype: 'float32', shape, data: Float32Array.from(list) };
}
