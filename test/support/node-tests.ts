/**
 * ONNX's backend node tests, packed by test/node-tests/pack.py, run through the importer and the rows' `evaluate`: what constant
 * folding and host stages compute with.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type ModelProto, ModelProtoSchema, TensorProtoSchema, ValueInfoProtoSchema } from 'onnx-buf';
import { ModelError } from '../../src/errors.ts';
import type { DType, Graph, Tensor } from '../../src/graph/graph.ts';
import { allOperators } from '../../src/graph/operators/host-registry.ts';
import { operatorOf } from '../../src/graph/operators/registry.ts';
import type { Value } from '../../src/graph/operators/operator.ts';
import { Problems } from '../../src/graph/problems.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { decodeTensor } from '../../src/onnx/tensor.ts';
import { value } from './onnx-proto.ts';

const folder = new URL('../node-tests/', import.meta.url);

/** Names of the tests that pass, one a line, in order: a list that may only grow (`npm run node-tests -- --write`). */
export const passingPath = new URL('passing.txt', folder);

export interface NodeTest {
  readonly name: string;
  /** Types of its nodes, each once, in order. */
  readonly operators: readonly string[];
  readonly model: ModelProto;
  readonly inputs: readonly Uint8Array[];
  readonly outputs: readonly Uint8Array[];
  /** |actual − expected| may be up to `absolute + relative · |expected|`. */
  readonly relative: number;
  readonly absolute: number;
}

export interface NodeTestSuite {
  /** Version of the Python package that the tests come from. */
  readonly onnx: string;
  readonly tests: readonly NodeTest[];
}

interface Header {
  readonly onnx: string;
  readonly blobs: readonly number[];
  readonly tests: readonly {
    readonly name: string;
    readonly model: number;
    readonly inputs: readonly number[];
    readonly outputs: readonly number[];
    readonly relative: number;
    readonly absolute: number;
  }[];
}

/** Every test of the packed file. */
export function readNodeTests(): NodeTestSuite {
  const bytes = gunzipSync(readFileSync(new URL('node-tests.bin.gz', folder)));
  const length = bytes.readUInt32LE(0);
  const header = JSON.parse(bytes.toString('utf8', 4, 4 + length)) as Header;
  let end = 4 + length;
  const blobs = header.blobs.map((size) => new Uint8Array(bytes.subarray(end, (end += size))));
  const tests = header.tests.map((test): NodeTest => {
    const model = fromBinary(ModelProtoSchema, blobs[test.model]);
    return {
      ...test,
      model,
      operators: [...new Set(model.graph!.node.map(({ opType }) => opType))].sort(),
      inputs: test.inputs.map((place) => blobs[place]),
      outputs: test.outputs.map((place) => blobs[place]),
    };
  });
  return { onnx: header.onnx, tests };
}

/** Tests of the operators that Octet lists, and of nothing else. */
export function listedNodeTests({ tests }: NodeTestSuite): readonly NodeTest[] {
  return tests.filter(({ operators }) => operators.every((op) => allOperators.has(op)));
}

export function readPassing(path = passingPath): ReadonlySet<string> {
  return new Set(readFileSync(path, 'utf8').split('\n').filter(Boolean));
}

/** Tests by their operator; those of models of several under `several`. */
export function byOperator<T>(list: readonly T[], test: (item: T) => NodeTest): [op: string, items: T[]][] {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const { operators } = test(item);
    const op = operators.length === 1 ? operators[0] : SEVERAL;
    groups.set(op, [...(groups.get(op) ?? []), item]);
  }
  return [...groups].sort(([a], [b]) => (a === SEVERAL ? 1 : b === SEVERAL ? -1 : a < b ? -1 : 1));
}

const SEVERAL = 'several';

export type NodeTestResult =
  | { readonly status: 'passed' }
  /** Octet says that it cannot run the model, or has no value for one of its nodes. */
  | { readonly status: 'refused'; readonly reason: string }
  /** Octet gives another result. */
  | { readonly status: 'wrong'; readonly reason: string };

/**
 * Runs a test. All inputs but the first are constants, as weights, axes and the like are in networks; the first is too where the
 * result's shape depends on its elements; none is where a constant could not be what an input is (not a number).
 */
export function runNodeTest(test: NodeTest): NodeTestResult {
  const first = attempt(test, 1);
  if (first.status !== 'refused') return first;
  for (const given of [0, test.inputs.length]) {
    const other = attempt(test, given);
    if (other.status !== 'refused') return other;
  }
  return first;
}

/** Runs a test with the inputs before `constants` given at run time. */
function attempt(test: NodeTest, constants: number): NodeTestResult {
  let graph: Graph;
  try {
    graph = decodeModel(modelWithConstants(test, constants));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { status: 'refused', reason: error.problems.map(({ reason }) => reason).join('; ') };
  }
  const values = new Map<string, Value>(graph.constants);
  for (const [index, { name }] of test.model.graph!.input.slice(0, constants).entries()) {
    const tensor = tensorOf(test.inputs[index]);
    values.set(name, { ...tensor, dtype: widened(tensor.dtype) });
  }
  const read = new Set([
    ...graph.outputs.map(({ name }) => name),
    ...graph.nodes.flatMap(({ inputs }) => inputs),
  ]);
  for (const node of graph.nodes) {
    const row = operatorOf(graph, node);
    for (const [output, name] of node.outputs.entries()) {
      const info = graph.values.get(name);
      if (!read.has(name)) continue;
      const isFixed = info?.shape.every((size) => typeof size === 'number');
      if (!info || !(isFixed || row?.hasDynamicShape)) {
        return { status: 'refused', reason: `the shape of ${node.op}'s result depends on values` };
      }
      const result = row?.evaluate?.({
        node,
        inputs: node.inputs.map((input) => values.get(input)),
        output,
        dtype: info.dtype,
        shape: info.shape as readonly number[],
        numbers: (input) => {
          const list = graph.constants.get(input);
          return list && Array.from(list.data, Number);
        },
      });
      if (!result) return { status: 'refused', reason: `${node.op} has no value` };
      values.set(name, result);
    }
  }
  for (const [index, { name }] of test.model.graph!.output.entries()) {
    const reason = difference(values.get(name), tensorOf(test.outputs[index]), test);
    if (reason !== undefined) return { status: 'wrong', reason: `output ${name}: ${reason}` };
  }
  return { status: 'passed' };
}

/** The test's model with its inputs from `from` on as initializers. */
function modelWithConstants({ model, inputs }: NodeTest, from: number): Uint8Array {
  const graph = model.graph!;
  const initializer = inputs.slice(from).map((bytes, index) => {
    const proto = fromBinary(TensorProtoSchema, bytes);
    return { ...proto, name: graph.input[from + index].name };
  });
  const input = graph.input.slice(0, from);
  // A model needs an input, read or not.
  if (input.length === 0) input.push(create(ValueInfoProtoSchema, value('unread', [1])));
  return toBinary(ModelProtoSchema, {
    ...model,
    graph: { ...graph, input, initializer: [...graph.initializer, ...initializer] },
  });
}

export function tensorOf(bytes: Uint8Array): Tensor {
  const problems = new Problems();
  const tensor = decodeTensor(fromBinary(TensorProtoSchema, bytes), '', problems, undefined);
  if (!tensor) throw new ModelError(problems.list);
  return tensor;
}

/** Half floats are computed in float32. */
function widened(dtype: DType): DType {
  return dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype;
}

/** What is wrong with a result, undefined where nothing is. */
function difference(
  actual: Value | undefined,
  expected: Tensor,
  { relative, absolute }: Pick<NodeTest, 'relative' | 'absolute'>,
): string | undefined {
  if (!actual) return 'is missing';
  const dtype = widened(expected.dtype);
  if (widened(actual.dtype) !== dtype) return `is ${actual.dtype}, expected ${dtype}`;
  if (actual.shape.join() !== expected.shape.join())
    return `has shape [${actual.shape}], expected [${expected.shape}]`;
  if (actual.data.length !== expected.data.length) return `has ${actual.data.length} elements`;
  const isExact = !(expected.data instanceof Float32Array || expected.data instanceof Float64Array);
  // Rounding to the half float that the test expects is up to 2⁻⁸ of a bfloat16.
  const tolerance = expected.dtype === 'bfloat16' ? Math.max(relative, 2 ** -8) : relative;
  for (const [i, want] of expected.data.entries()) {
    const have = actual.data[i];
    if (Object.is(have, want) || have === want) continue;
    if (!isExact) {
      const [a, b] = [Number(have), Number(want)];
      if (Number.isNaN(a) && Number.isNaN(b)) continue;
      if (Math.abs(a - b) <= absolute + tolerance * Math.abs(b) && Number.isFinite(b)) continue;
    }
    return `has ${have} at index ${i}, expected ${want}`;
  }
  return undefined;
}
