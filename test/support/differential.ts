/**
 * A QDQ graph on the reference and on wasm against ONNX Runtime without optimizations: the same outputs in shape and type, and values
 * that each operation computes from ONNX Runtime's inputs within one step of its own.
 */
import { ModelError } from '../../src/errors.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { builtinOperators } from '../../src/ops/registry.ts';
import { quantizeInput, readOutput } from '../../src/program/input.ts';
import { lower } from '../../src/program/lower.ts';
import type { IntegerProgram, ProgramOutput } from '../../src/program/program.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { createWasmSession } from '../../src/wasm/session.ts';
import { compareOnTheirInputs } from './agreement.ts';
import { runOrt } from './ort.ts';

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

export async function differential(
  graph: Graph,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
): Promise<Verdict> {
  let fused: IntegerProgram;
  let plain: IntegerProgram;
  try {
    fused = lower(graph, builtinOperators);
    plain = lower(graph, builtinOperators, { fuse: false });
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { kind: 'refused', reasons: error.problems.map(({ op, reason }) => `${op}: ${reason}`) };
  }
  const reports: string[] = [];
  const theirs = await runOrt(inferShapes(graph), inputs, batch);
  const { tensors, alone } = await compareOnTheirInputs(graph, plain, inputs, batch);
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
    const expected = theirs.get(name)!;
    const shape = [batch, ...output.shape];
    const wanted = `${expected.data.constructor.name}[${expected.shape}]`;
    const given = `${ours.data.constructor.name}[${shape}]`;
    if (given !== wanted) {
      reports.push(`output "${name}" is ${given}, not ${wanted}`);
      continue;
    }
    const values = readOutput(output, plain.tensors[output.tensor], alone.get(output.tensor)!, batch).data;
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

type Values = Float32Array | Int8Array | Uint8Array;

async function runProgram(
  program: IntegerProgram,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
  backend: 'reference' | 'wasm',
): Promise<Map<string, { readonly data: Values }>> {
  using session =
    backend === 'wasm' ? await createWasmSession(program, { threads: 1 }) : createReferenceSession(program);
  const data = new Map(
    program.inputs.map(({ name, tensor }) => [
      tensor,
      {
        kind: 'quantized' as const,
        data: quantizeInput(program.tensors[tensor], inputs.get(name)!, batch),
      },
    ]),
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
  const last = output.tail.at(-1);
  if (last?.kind === 'quantize') return last.scale;
  if (last) return FLOAT_TOLERANCE;
  const { dtype, scale } = program.tensors[output.tensor];
  if (dtype === 'int8') return scale as number;
  const largest = Array.from<number>(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  return FLOAT_TOLERANCE * largest;
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
