/** Builds integer programs for tests, checking nothing: what a test needs is the program it asked for. */
import { commonRescale, toMultiplier } from '../../src/program/multiplier.ts';
import {
  elementCount,
  type ImageShape,
  type IntegerProgram,
  type Operation,
  paddedChannels,
  type ProgramTensor,
  type Requantize,
  type Rescale,
  type TensorId,
} from '../../src/program/program.ts';
import type { Random } from './random.ts';

export interface ProgramBuilder {
  tensor(shape: ImageShape, zeroPoint?: number, dtype?: 'int8' | 'int32', scale?: number): ProgramTensor;
  input(shape: ImageShape, zeroPoint?: number, scale?: number): ProgramTensor;
  emit<T extends Operation>(operation: T): T;
  /** @param outputs by default every result that no operation reads */
  build(name: string, outputs?: readonly TensorId[]): IntegerProgram;
}

export function createProgramBuilder(): ProgramBuilder {
  const tensors: ProgramTensor[] = [];
  const operations: Operation[] = [];
  const inputs: TensorId[] = [];
  const tensor: ProgramBuilder['tensor'] = (shape, zeroPoint = 0, dtype = 'int8', scale = 0.05) => {
    const id = tensors.length;
    const made = { id, name: `t${id}`, shape, dtype, scale: Math.fround(scale), zeroPoint };
    tensors.push(made);
    return made;
  };
  return {
    tensor,
    input(shape, zeroPoint, scale) {
      const made = tensor(shape, zeroPoint, 'int8', scale);
      inputs.push(made.id);
      return made;
    },
    emit(operation) {
      operations.push(operation);
      return operation;
    },
    build(name, outputs) {
      const read = new Set(operations.flatMap((operation) => operation.inputs));
      const ends = outputs ?? operations.map(({ output }) => output).filter((id) => !read.has(id));
      return {
        name,
        tensors,
        operations,
        inputs: inputs.map((id) => ({ name: tensors[id].name, tensor: id, fileDtype: 'int8' })),
        outputs: ends.map((id) => ({
          name: tensors[id].name,
          tensor: id,
          tail: [],
          dtype: 'float32',
          shape: [tensors[id].shape[2], tensors[id].shape[0], tensors[id].shape[1]],
        })),
        metadata: new Map(),
      };
    },
  };
}

/** Requantization by the float32 of `factor(channel)`. */
export function requantizeBy(
  channels: number,
  factor: (channel: number) => number,
  zeroPoint: number,
  lo = -128,
  hi = 127,
): Requantize {
  const multipliers = Array.from({ length: channels }, (_, c) => toMultiplier(factor(c)));
  return {
    mantissa: Uint32Array.from(multipliers, (m) => m.mantissa),
    shift: Uint8Array.from(multipliers, (m) => m.shift),
    zeroPoint,
    lo,
    hi,
  };
}

/** Rescale of one term an input, by real factors. */
export function rescaleBy(
  factors: readonly number[],
  inputZeroPoints: readonly number[],
  zeroPoint: number,
  lo = -128,
  hi = 127,
): Rescale {
  const common = commonRescale(
    factors,
    factors.map(() => 1),
  );
  return { ...common, inputZeroPoints: Int32Array.from(inputZeroPoints), zeroPoint, lo, hi };
}

/** Rescale of the product of two inputs, by a real factor. */
export function multiplyBy(
  factor: number,
  inputZeroPoints: readonly [number, number],
  zeroPoint: number,
  lo = -128,
  hi = 127,
): Rescale {
  const common = commonRescale([factor], [255]);
  return { ...common, inputZeroPoints: Int32Array.from(inputZeroPoints), zeroPoint, lo, hi };
}

/** Input data in the program's layout: `value` for each real channel, the zero point in padded lanes. */
export function fillImage(tensor: ProgramTensor, batch: number, value: (index: number) => number): Int8Array {
  const channels = tensor.shape[2];
  const stored = paddedChannels(channels);
  return Int8Array.from({ length: elementCount(tensor, batch) }, (_, i) =>
    i % stored < channels ? value(i) : tensor.zeroPoint,
  );
}

/** Random input data for every input of a program. */
export function randomInputs(
  program: IntegerProgram,
  batch: number,
  random: Random,
): Map<TensorId, Int8Array> {
  return new Map(
    program.inputs.map(({ tensor }) => [
      tensor,
      fillImage(program.tensors[tensor], batch, () => random.int(-128, 127)),
    ]),
  );
}
