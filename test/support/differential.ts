/**
 * A QDQ graph on the reference and on wasm against ONNX Runtime without optimizations: the same outputs in shape and type, and values
 * that each operation computes from ONNX Runtime's inputs within one step of its own.
 */
import { ModelError } from '../../src/errors.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import type { Graph, Node, Tensor, ValueInfo } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { quantize } from '../../src/quantize/quantize.ts';
import { Problems } from '../../src/graph/problems.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { builtinOperators, moreOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { type OutputValues, quantizeInput, readOutput } from '../../src/program/input.ts';
import { lower } from '../../src/program/lower.ts';
import type { IntegerProgram, ProgramOutput, TensorId } from '../../src/program/program.ts';
import type { SessionInput } from '../../src/schedule/session.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { createWasmSession } from '../../src/wasm/backend.ts';
import { compareOnTheirInputs, ortTensors, quantizedNames } from './agreement.ts';
import { randomInputs } from './onnx-models.ts';
import { type OrtResult, type OrtResults, relativeDifference, runOrt } from './ort.ts';

export type Verdict =
  | { readonly kind: 'refused'; readonly reasons: readonly string[] }
  | {
      readonly kind: 'agrees';
      /** Integers and output values compared with ONNX Runtime's. */
      readonly elements: number;
      /** How many of them are one step off: a float32 next to a tie. */
      readonly offByOne: number;
    }
  | { readonly kind: 'differs'; readonly report: string };

/** What may remain between float32 and float64: of a softmax, and relative to the largest value of accumulators. */
const FLOAT_TOLERANCE = 2e-5;

/** @param file a graph as it stands in a file; types and shapes of its outputs are inferred */
export async function differential(
  file: Graph,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
): Promise<Verdict> {
  const written = inferShapes(file, new Problems());
  let graph: Graph;
  let fused: IntegerProgram;
  let plain: IntegerProgram;
  try {
    graph = decodeModel(encodeModel(written));
    fused = lower(graph, builtinOperators);
    plain = lower(graph, builtinOperators, { fuse: false });
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { kind: 'refused', reasons: error.problems.map(({ op, reason }) => `${op}: ${reason}`) };
  }
  const quantized = quantizedNames(written, plain);
  const names = new Set(written.outputs.map(({ name }) => name));
  const extra = [...new Set(quantized.values())].filter((name) => !names.has(name));
  const outputs = [...written.outputs, ...extra.map((name) => written.values.get(name)!)];
  let theirs: OrtResults;
  try {
    theirs = await runOrt({ ...withIntegerBiases(written, plain), outputs }, inputs, batch);
  } catch (error) {
    return { kind: 'differs', report: `ONNX Runtime refuses it: ${String(error)}` };
  }
  const reports: string[] = [];
  const onTheirs = ortTensors(plain, quantized, theirs, batch);
  let compared: ReturnType<typeof compareOnTheirInputs>;
  try {
    compared = compareOnTheirInputs(plain, inputs, batch, onTheirs);
  } catch (error) {
    // What a float function leaves undefined, 0 / 0 say, has no integer: it is refused while it runs.
    if (!(error instanceof ModelError) || !(await hasNaN(written, inputs, batch))) throw error;
    return { kind: 'refused', reasons: [error.message] };
  }
  const { tensors, alone } = compared;
  let elements = 0;
  let offByOne = 0;
  for (const { name, differing, largestDifference, ...tensor } of tensors) {
    elements += tensor.elements;
    offByOne += differing;
    if (largestDifference > 1) reports.push(`"${name}" is up to ${largestDifference} steps off`);
  }

  const reference = await runProgram(fused, inputs, batch, 'reference');
  const wasm = await runProgram(fused, inputs, batch, 'wasm');
  const unfused = await runProgram(plain, inputs, batch, 'reference');
  for (const output of plain.outputs) {
    const { name } = output;
    const ours = reference.get(name)!;
    if (!isSame(ours.data, wasm.get(name)!.data)) reports.push(`output "${name}" is another on wasm`);
    if (!isSame(ours.data, unfused.get(name)!.data)) reports.push(`output "${name}" is another unfused`);
    const expected = narrowed(theirs.get(name)!);
    const shape = [batch, ...output.shape];
    const wanted = `${expected.data.constructor.name}[${expected.shape}]`;
    const given = `${ours.data.constructor.name}[${shape}]`;
    if (given !== wanted) {
      reports.push(`output "${name}" is ${given}, not ${wanted}`);
      continue;
    }
    const integers = onTheirs.get(output.tensor) ?? alone.get(output.tensor)!;
    const values = readOutput(output, plain.tensors[output.tensor], integers, batch).data;
    const { differing, worst } = compareValues(
      values,
      expected.data as Float32Array,
      stepOf(plain, output, expected.data as Float32Array),
    );
    elements += values.length;
    offByOne += differing;
    if (worst) reports.push(`output "${name}" ${worst}`);
  }
  return reports.length === 0
    ? { kind: 'agrees', elements, offByOne }
    : { kind: 'differs', report: reports.join('\n') };
}

/** A float graph: what `optimize` makes of it is the same function, and what `quantize` does passes `differential`. */
export async function floatDifferential(file: Graph, seed: number): Promise<Verdict> {
  let optimized: Graph;
  let quantized: Graph;
  const graph = decodeModel(encodeModel(file));
  const images = randomInputs(graph, 4, seed);
  try {
    optimized = optimize(graph);
    const [{ name, shape }] = graph.inputs as [ValueInfo];
    const batch = { data: images.get(name)!, shape: [4, ...shape.slice(1).map(Number)] };
    ({ graph: quantized } = await quantize(graph, [batch]));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { kind: 'refused', reasons: error.problems.map(({ op, reason }) => `quantize ${op}: ${reason}`) };
  }
  const ours = await runOrt(optimized, images, 4);
  for (const [name, expected] of await runOrt(file, images, 4)) {
    const actual = ours.get(name)!;
    const difference = relativeDifference(actual.data as Float32Array, expected.data as Float32Array);
    if (actual.shape.join() !== expected.shape.join() || difference > 1e-4) {
      const report = `optimize makes [${actual.shape}] of "${name}", [${expected.shape}], ${difference} off`;
      return { kind: 'differs', report };
    }
  }
  return differential(quantized, images, 4);
}

type Values = OutputValues['data'];

const operators = createOperatorRegistry(moreOperators);

/** The outputs for `batch` images. */
export async function runProgram(
  program: IntegerProgram,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
  backend: 'reference' | 'wasm',
): Promise<Map<string, { readonly data: Values }>> {
  using session =
    backend === 'wasm'
      ? await createWasmSession(program, { threads: 1, operators })
      : createReferenceSession(program, operators);
  const data = new Map(
    program.inputs.map(({ name, tensor: id }): [TensorId, SessionInput] => {
      const tensor = program.tensors[id];
      const data = inputs.get(name)!;
      return [
        id,
        tensor.type === 'int8'
          ? { kind: 'quantized', data: quantizeInput(tensor, data, batch) }
          : { kind: 'reals', data },
      ];
    }),
  );
  const { tensors } = await session.run(data, { batch });
  return new Map(
    program.outputs.map((output) => [
      output.name,
      readOutput(output, program.tensors[output.tensor], tensors.get(output.tensor)!, batch),
    ]),
  );
}

/** By how much a value of the output may differ where one integer does. */
function stepOf(program: IntegerProgram, output: ProgramOutput, expected: Values): number {
  if (output.dtype !== 'float32') return 1;
  const tensor = program.tensors[output.tensor];
  if (tensor.type === 'int8') return tensor.scale;
  const largest = Array.from<number>(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  // ONNX Runtime adds up in float32, in another order.
  return FLOAT_TOLERANCE * largest;
}

/** int64 as Octet gives it: in 32 bits. */
function narrowed({ data, ...rest }: OrtResult): OrtResult {
  return { ...rest, data: data instanceof BigInt64Array ? Int32Array.from(data, Number) : data };
}

/** Whether a value that the graph quantizes is not a number in ONNX Runtime. */
async function hasNaN(
  graph: Graph,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
): Promise<boolean> {
  const quantized = new Set(
    graph.nodes.flatMap(({ op, inputs: [x] }) => (op === 'QuantizeLinear' ? [x] : [])),
  );
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const outputs = [...quantized].filter((name) => made.has(name)).map((name) => graph.values.get(name)!);
  const results = await runOrt({ ...graph, outputs }, inputs, batch);
  return [...results.values()].some(({ data }) => (data as Float32Array).some(Number.isNaN));
}

/** The graph with the biases that Octet rounds to units of the accumulator (`lower`) on those units, where no QuantizeLinear follows. */
function withIntegerBiases(graph: Graph, { operations, tensors }: IntegerProgram): Graph {
  const constants = new Map(graph.constants);
  const units = new Map(
    operations.flatMap(({ name, output }) => {
      const tensor = tensors[output];
      return tensor.type === 'accumulator' ? [[name, tensor.scale] as const] : [];
    }),
  );
  const added = (node: Node): Node => {
    // The product that an Add gives its bias goes by its own name.
    const product =
      node.op === 'Add' ? graph.nodes.find(({ outputs }) => node.inputs.includes(outputs[0])) : node;
    const unit = product && units.get(product.name);
    const isConstant = (name: string) =>
      (constants.get(name) ?? dequantizedConstant(graph, name)) !== undefined;
    const at = node.op === 'Add' ? node.inputs.findIndex(isConstant) : 2;
    if (unit === undefined || at < 0 || !['Conv', 'Gemm', 'Add'].includes(node.op)) return node;
    const bias = constants.get(node.inputs[at]) ?? dequantizedConstant(graph, node.inputs[at]);
    if (bias?.dtype !== 'float32') return node;
    const name = `${node.inputs[at]} of ${node.name}`;
    const unitOf = (i: number) => (typeof unit === 'number' ? unit : unit[i]);
    const data = (bias.data as Float32Array).map((value, i) => Math.round(value / unitOf(i)) * unitOf(i));
    constants.set(name, { ...bias, name, data });
    return { ...node, inputs: node.inputs.with(at, name) };
  };
  return { ...graph, nodes: graph.nodes.map(added), constants };
}

/** A vector of integer constants behind a DequantizeLinear without a zero point, in reals. */
function dequantizedConstant({ nodes, constants }: Graph, name: string): Tensor | undefined {
  const node = nodes.find(({ op, outputs }) => op === 'DequantizeLinear' && outputs[0] === name);
  const [integers, scale] = (node?.inputs ?? []).map((input) => constants.get(input));
  if (integers?.shape.length !== 1 || !scale || node!.inputs.length > 2) return undefined;
  const scales = scale.data as Float32Array;
  const reals = Array.from(integers.data as Int32Array, (q, i) => q * scales[scales.length > 1 ? i : 0]);
  return { name, dtype: 'float32', shape: integers.shape, data: Float32Array.from(reals) };
}

function compareValues(
  actual: Values,
  expected: Values,
  step: number,
): { readonly differing: number; readonly worst: string | undefined } {
  let differing = 0;
  let largest = 0;
  let worst: string | undefined;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    // A part of a step is what float32 leaves of a number.
    if (difference <= step * 1e-3) continue;
    differing++;
    if (Number.isNaN(difference) || difference > Math.max(largest, step * 1.001)) {
      largest = difference;
      worst = `is ${actual[i]} at ${i}, where ONNX Runtime gives ${expected[i]} (a step is ${step})`;
    }
  }
  return { differing, worst };
}

function isSame(a: Values, b: Values): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}
