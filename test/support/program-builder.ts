/** Builds integer programs for tests, checking nothing: what a test needs is the program it asked for. */
import { moveSource, relayout } from '../../src/program/move.ts';
import { commonRescale, rescaleTable, toMultiplier } from '../../src/program/multiplier.ts';
import {
  elementCount,
  type ImageShape,
  type Int8Tensor,
  type IntegerProgram,
  type MovePart,
  nchw,
  type Operation,
  paddedChannels,
  type ProgramTensor,
  type Requantize,
  type Rescale,
  type TensorId,
} from '../../src/program/program.ts';
import type { Random } from './random.ts';

export interface ProgramBuilder {
  tensor(image: ImageShape, zeroPoint?: number, type?: 'int8', scale?: number): Int8Tensor;
  tensor(image: ImageShape, zeroPoint: number, type: ProgramTensor['type'], scale?: number): ProgramTensor;
  input(image: ImageShape, zeroPoint?: number, scale?: number): Int8Tensor;
  emit<T extends Operation>(operation: T): T;
  /** @param outputs by default every result that no operation reads */
  build(name: string, outputs?: readonly TensorId[]): IntegerProgram;
}

export function createProgramBuilder(): ProgramBuilder {
  const tensors: ProgramTensor[] = [];
  const operations: Operation[] = [];
  const inputs: TensorId[] = [];
  const tensor = ((image: ImageShape, zeroPoint = 0, type: ProgramTensor['type'] = 'int8', scale = 0.05) => {
    const id = tensors.length;
    const [height, width, channels] = image;
    const shape = ['N', channels, height, width];
    const made = { id, name: `t${id}`, shape, ...nchw(image), type, scale: Math.fround(scale), zeroPoint };
    tensors.push(made as ProgramTensor);
    return made;
  }) as ProgramBuilder['tensor'];
  return {
    tensor,
    input(image, zeroPoint, scale) {
      const made = tensor(image, zeroPoint, 'int8', scale);
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
          dtype: 'float32',
          shape: tensors[id].shape.slice(1) as number[],
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

/** What `channels` of a tensor become where they are selected in this order. */
export function selection(input: Int8Tensor, output: Int8Tensor, channels: ArrayLike<number>): MovePart {
  const [height, width] = input.image;
  const axes = relayout([input.image[2], height, width]).axes.with(
    0,
    Int32Array.from(channels, (c) => c * height * width),
  );
  const source = moveSource(input, output, { shape: [channels.length, height, width], axes })!;
  return { first: [0, 0, 0], size: output.image, source, table: null };
}

/** Tensors one behind the other along `axis` of their images, each rescaled. */
export function joined(inputs: readonly Int8Tensor[], rescales: readonly Rescale[], axis = 2): MovePart[] {
  let at = 0;
  return inputs.map((input, i) => {
    const first = [0, 0, 0].with(axis, at) as unknown as ImageShape;
    at += input.image[axis];
    const source = moveSource(input, input, relayout(input.shape.slice(1) as number[]))!;
    return { first, size: input.image, source, table: rescaleTable(rescales[i]) };
  });
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
  const channels = tensor.image[2];
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
