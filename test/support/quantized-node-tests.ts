/**
 * ONNX's backend node tests of operators that run in integers: each is quantized on its own input, run on the reference and on
 * WebAssembly, and held to the float answer that the test brings.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, NodeProtoSchema, TensorProtoSchema, ValueInfoProtoSchema } from 'onnx-buf';
import type { DType } from '../../src/graph/graph.ts';
import { OctetError } from '../../src/errors.ts';
import { allOperators } from '../../src/graph/operators/host-registry.ts';
import { loadFixedModel } from '../../src/model/load.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { decibels, quantize } from '../../src/quantize/quantize.ts';
import { isHost } from './interop.ts';
import { listedNodeTests, type NodeTest, type NodeTestSuite, tensorOf } from './node-tests.ts';
import { int64s, node, value } from './onnx-proto.ts';

/** Names of the tests that pass, as those of the float ones (`passingPath`). */
export const quantizedPath = new URL('../node-tests/quantized.txt', import.meta.url);

/** Signal-to-quantization-noise ratio from which an answer is near the float one, in decibels. 8 bits of a good range give 40. */
const NEAR = 20;
/** The newest opset that the ONNX Runtime that calibrates reads; what the nodes mean has not changed since. */
const NEWEST = 24;

/** Kinds of operations whose operands are all activations. */
const JOINING: ReadonlySet<string> = new Set(['binary', 'matMul']);

const kinds = new Map(
  builtinOperators.flatMap(({ kind, stage, onnx }) =>
    stage === 'host' ? [] : onnx.map(({ op }) => [op, kind] as const),
  ),
);

/** Whether docs/operators.md says that it runs in integers: by an operation or a table, or as nothing but another name. */
function isClaimed(op: string): boolean {
  const role = allOperators.get(op)?.role;
  return kinds.has(op) || role === 'pointwise' || role === 'renames';
}

/** Kinds of operations whose results are indices. */
const INDEXING: ReadonlySet<string> = new Set(['argMax']);

/** Tests of one operator that runs in integers, from float32 to float32 or to indices, with elements. */
export function quantizableNodeTests(suite: NodeTestSuite): readonly NodeTest[] {
  return listedNodeTests(suite).filter(({ operators, inputs, outputs }) => {
    if (operators.length !== 1 || !isClaimed(operators[0]) || inputs.length === 0 || outputs.length !== 1)
      return false;
    const isOf = (bytes: Uint8Array, type: DType) => {
      const { dtype, data } = tensorOf(bytes);
      return dtype === type && data.length > 0;
    };
    return isOf(inputs[0], 'float32') && isOf(outputs[0], isIndexing(operators[0]) ? 'int64' : 'float32');
  });
}

function isIndexing(op: string): boolean {
  return INDEXING.has(kinds.get(op) ?? '');
}

export interface QuantizedNodeTestResult {
  /** `host`: a part runs in real numbers on the CPU. `far`: from float, as 8 bits are. `wrong`: other bytes on WebAssembly. */
  readonly status: 'passed' | 'host' | 'refused' | 'far' | 'wrong';
  /** Empty where it passed. */
  readonly reason: string;
}

/**
 * Runs a test with its first dimension as the batch, and, where that does not pass, with a batch of its own before all of them: networks
 * have either.
 */
export async function runQuantizedNodeTest(test: NodeTest): Promise<QuantizedNodeTestResult> {
  const first = await attempt(test, false);
  if (first.status === 'passed') return first;
  const second = await attempt(test, true);
  return second.status === 'refused' ? first : second;
}

async function attempt(test: NodeTest, isBatchAdded: boolean): Promise<QuantizedNodeTestResult> {
  try {
    const { bytes, data, shape } = isBatchAdded ? withBatch(test) : asItIs(test);
    const decoded = decodeModel(bytes);
    const float = { ...decoded, opset: Math.min(decoded.opset, NEWEST) };
    const { graph } = await quantize(float, [{ data, shape }]);
    const results: ArrayLike<number>[] = [];
    for (const backend of ['reference', 'wasm'] as const) {
      const model = await loadFixedModel(graph, { backend, threads: 1 });
      try {
        const host = model.program.operations.filter(isHost);
        if (host.length > 0) return { status: 'host', reason: host.map(({ reason }) => reason).join('; ') };
        const { outputs } = await model.run({ [graph.inputs[0].name]: data });
        results.push(Object.values(outputs)[0].data);
      } finally {
        model.dispose();
      }
    }
    const [actual, wasm] = results;
    const isNegated = isBatchAdded && !isIndexing(test.operators[0]);
    const answer = Array.from<number | bigint, number>(tensorOf(test.outputs[0]).data, Number);
    const expected = Float32Array.from(answer, (value) => (isNegated ? -value : value));
    if (actual.length !== expected.length)
      return { status: 'wrong', reason: `has ${actual.length} elements` };
    const differs = expected.findIndex((_, i) => !Object.is(actual[i], wasm[i]));
    if (differs >= 0) return { status: 'wrong', reason: `WebAssembly differs at index ${differs}` };
    const ratio = ratioOf(expected, actual);
    return ratio >= NEAR
      ? { status: 'passed', reason: '' }
      : { status: 'far', reason: `${ratio.toFixed(1)} dB from float` };
  } catch (error) {
    if (!(error instanceof OctetError)) throw error;
    return { status: 'refused', reason: error.message.split('\n').slice(1).join('; ') || error.message };
  }
}

function ratioOf(expected: Float32Array, actual: ArrayLike<number>): number {
  let [signal, noise] = [0, 0];
  for (const [i, real] of expected.entries()) {
    signal += real ** 2;
    noise += (real - actual[i]) ** 2;
  }
  return decibels(signal, noise);
}

interface Prepared {
  readonly bytes: Uint8Array;
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** The first input is given, all others are constants. */
function asItIs({ model, inputs }: NodeTest): Prepared {
  const graph = model.graph!;
  const { shape, data } = tensorOf(inputs[0]);
  const initializer = graph.input.slice(1).map(({ name }, i) => {
    return { ...fromBinary(TensorProtoSchema, inputs[i + 1]), name };
  });
  const bytes = toBinary(ModelProtoSchema, {
    ...model,
    graph: { ...graph, input: graph.input.slice(0, 1), initializer: [...graph.initializer, ...initializer] },
  });
  return { bytes, data: data as Float32Array, shape };
}

/**
 * One input [1, elements], of which each activation of the node is a part in its own shape; the negated result is [1, elements]. Activations are
 * the first input and, where the operator joins tensors, all that are float32.
 */
function withBatch({ model, inputs, outputs, operators: [op] }: NodeTest): Prepared {
  const graph = model.graph!;
  const tensors = inputs.map(tensorOf);
  // Exponents are constants in networks, and have not the range of what they are exponents of.
  const isJoining = (JOINING.has(kinds.get(op) ?? '') && op !== 'Pow') || op === 'Concat';
  const isGiven = tensors.map(
    ({ dtype, data }, i) => i === 0 || (isJoining && dtype === 'float32' && data.length > 0),
  );
  const parts = tensors.filter((_, i) => isGiven[i]).map(({ data }) => data as Float32Array);
  const data = Float32Array.from(parts.flatMap((part) => [...part]));
  const nodes = [];
  const initializer = [];
  let start = 0;
  for (const [i, { name }] of graph.input.entries()) {
    const { shape, data: elements } = tensors[i];
    if (!isGiven[i]) {
      initializer.push({ ...fromBinary(TensorProtoSchema, inputs[i]), name });
      continue;
    }
    let part = 'octet.input';
    if (parts.length > 1) {
      part = `octet.part${i}`;
      const bounds = { starts: start, ends: start + elements.length, axes: 1 };
      const lists = Object.entries(bounds).map(([bound, at]) =>
        create(TensorProtoSchema, int64s(`${part}.${bound}`, [at])),
      );
      initializer.push(...lists);
      nodes.push(node('Slice', ['octet.input', ...lists.map((list) => list.name)], [part]));
    }
    start += elements.length;
    initializer.push(create(TensorProtoSchema, int64s(`octet.shape${i}`, shape)));
    nodes.push(node('Reshape', [part, `octet.shape${i}`], [name]));
  }
  const [{ name: result }] = graph.output;
  const length = tensorOf(outputs[0]).data.length;
  initializer.push(create(TensorProtoSchema, int64s('octet.flat', [1, length])));
  const isIndices = isIndexing(op);
  const flattened = isIndices ? 'octet.output' : 'octet.flattened';
  const flat = create(NodeProtoSchema, node('Reshape', [result, 'octet.flat'], [flattened]));
  // A last layer's softmax is float by design.
  const last = create(NodeProtoSchema, node('Neg', [flattened], ['octet.output']));
  const bytes = toBinary(ModelProtoSchema, {
    ...model,
    graph: {
      ...graph,
      node: [
        ...nodes.map((each) => create(NodeProtoSchema, each)),
        ...graph.node,
        flat,
        ...(isIndices ? [] : [last]),
      ],
      input: [create(ValueInfoProtoSchema, value('octet.input', [1, data.length]))],
      output: [create(ValueInfoProtoSchema, value('octet.output', [1, length], isIndices ? 7 : 1))],
      initializer: [...graph.initializer, ...initializer],
    },
  });
  return { bytes, data, shape: [1, data.length] };
}
