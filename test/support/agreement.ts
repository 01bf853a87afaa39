/** How far the integer program agrees with ONNX Runtime on the same QDQ file, tensor by tensor. */
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import type { Graph, Node } from '../../src/graph/graph.ts';
import type { TensorBuffer } from '../../src/program/program.ts';
import { builtinOperators, moreOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { quantizeInput, visitElements } from '../../src/program/input.ts';
import { lower } from '../../src/program/lower.ts';
import {
  elementCount,
  type IntegerProgram,
  type ProgramTensor,
  tensorBuffer,
  type TensorId,
} from '../../src/program/program.ts';
import { type OrtResults, runOrt } from './ort.ts';

export interface TensorAgreement {
  readonly name: string;
  readonly elements: number;
  /** Of the operation alone, given ONNX Runtime's inputs. */
  readonly differing: number;
  readonly largestDifference: number;
  /** Of the network up to here: differences of earlier layers carried along. */
  readonly differingEndToEnd: number;
}

/** Runs both on the same float inputs; compares every int8 tensor that a QuantizeLinear of the file names. */
export async function agreementWithOrt(
  graph: Graph,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
): Promise<readonly TensorAgreement[]> {
  const program = lower(graph, builtinOperators, { fuse: false });
  const quantized = quantizedNames(graph, program);
  const { values } = inferShapes(graph);
  const outputs = [...new Set(quantized.values())].map((name) => values.get(name)!);
  const results = await runOrt({ ...graph, outputs }, inputs, batch);
  return compareOnTheirInputs(program, inputs, batch, ortTensors(program, quantized, results, batch)).tensors;
}

/**
 * The same for a program that was lowered without fusion, and ONNX Runtime's integers for its tensors.
 *
 * @returns `alone`: what each operation makes of ONNX Runtime's integers
 */
export function compareOnTheirInputs(
  program: IntegerProgram,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
  theirs: ReadonlyMap<TensorId, TensorBuffer>,
): {
  readonly tensors: readonly TensorAgreement[];
  readonly alone: ReadonlyMap<TensorId, TensorBuffer>;
} {
  const registry = createOperatorRegistry(moreOperators);
  const ours = new Map<TensorId, TensorBuffer>();
  const alone = new Map<TensorId, TensorBuffer>();
  for (const { name, tensor } of program.inputs) {
    const type = program.tensors[tensor];
    const values = inputs.get(name)!;
    const data = type.type === 'int8' ? quantizeInput(type, values, batch) : values;
    ours.set(tensor, data);
    alone.set(tensor, data);
  }
  for (const operation of program.operations) {
    const output = program.tensors[operation.output];
    const runOn = (buffers: (id: TensorId) => TensorBuffer) => {
      const result = tensorBuffer(output, batch);
      registry.of(operation).reference(operation, {
        batch,
        tensor: (id) => program.tensors[id],
        buffer: (id) => (id === output.id ? result : buffers(id)),
      });
      return result;
    };
    ours.set(
      output.id,
      runOn((id) => ours.get(id)!),
    );
    // Tensors that the file has no QuantizeLinear for are ours, made from its inputs.
    alone.set(
      output.id,
      runOn((id) => theirs.get(id) ?? alone.get(id)!),
    );
  }
  const tensors = program.tensors.flatMap((tensor) => {
    const expected = theirs.get(tensor.id);
    if (!expected) return [];
    const [differing, largestDifference] = compare(alone.get(tensor.id)!, expected);
    const [differingEndToEnd] = compare(ours.get(tensor.id)!, expected);
    const [height, width, channels] = tensor.image;
    const elements = batch * height * width * channels;
    return [{ name: tensor.name, elements, differing, largestDifference, differingEndToEnd }];
  });
  return { tensors, alone };
}

/** The integers in the file that each tensor holds, where it names them. */
export function quantizedNames(graph: Graph, { tensors }: IntegerProgram): Map<TensorId, string> {
  return new Map(
    tensors.flatMap((tensor) => {
      const quantizer = tensor.type === 'int8' ? quantizerOf(graph, tensor) : undefined;
      return quantizer ? [[tensor.id, quantizer.outputs[0]] as const] : [];
    }),
  );
}

/** ONNX Runtime's integers for the program's tensors, in the program's layout. */
export function ortTensors(
  { tensors }: IntegerProgram,
  quantized: ReadonlyMap<TensorId, string>,
  results: OrtResults,
  batch: number,
): Map<TensorId, TensorBuffer> {
  const buffers = new Map<TensorId, TensorBuffer>();
  for (const tensor of tensors) {
    const data = results.get(quantized.get(tensor.id) ?? '')?.data;
    if (!(data instanceof Int8Array || data instanceof Uint8Array)) continue;
    const offset = data instanceof Uint8Array ? 128 : 0;
    const buffer = new Int8Array(elementCount(tensor, batch)).fill(tensor.zeroPoint);
    visitElements(tensor, batch, (stored, logical) => {
      buffer[stored] = data[logical] - offset;
    });
    buffers.set(tensor.id, buffer);
  }
  return buffers;
}

/** The QuantizeLinear whose integers the tensor holds: of its name, and with its scale. */
function quantizerOf({ nodes, constants }: Graph, tensor: ProgramTensor): Node | undefined {
  return nodes.find(({ op, inputs: [value, scale, zeroPoint = ''], outputs }) => {
    if (op !== 'QuantizeLinear' || (value !== tensor.name && outputs[0] !== tensor.name)) return false;
    const zero = constants.get(zeroPoint);
    const offset = zero?.dtype === 'uint8' ? 128 : 0;
    return (
      Number(constants.get(scale)!.data[0]) === tensor.scale &&
      Number(zero?.data[0] ?? 0) - offset === tensor.zeroPoint
    );
  });
}

function compare(actual: TensorBuffer, expected: TensorBuffer): [differing: number, largest: number] {
  let differing = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] === expected[i]) continue;
    differing++;
    largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
  }
  return [differing, largest];
}
