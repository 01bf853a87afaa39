/**
 * A quantized model in Octet and in ONNX Runtime on the same pictures, tensor by tensor.
 *
 * ONNX Runtime runs the file without optimizations, so that each node is what the ONNX specification says. It multiplies accumulators in
 * float32 where Octet rescales integers exactly: next to ties its integers may be one off, and what follows is computed from those.
 */
import { zipSync } from 'fflate';
import { asyncOptions, check, flag, iterable, oneOf, options as optionsOf } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadFixedModel } from '../model/load.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import type { ProgramTensor } from '../program/program.ts';
import { onnxRuntimeOptions, openGraphSession } from '../quantize/onnx-runtime.ts';
import type { Picture } from '../vision/picture.ts';
import type { MeasureAccuracyOptions } from './accuracy.ts';
import { logicalOrder } from './logical.ts';
import { encodeNpy, ZIP_TIME } from './npy.ts';

export interface CompareWithOnnxRuntimeOptions extends MeasureAccuracyOptions {
  /** Also gives the tensors of the first picture that differs (else the first) on both sides. Default false. */
  readonly dump?: boolean;
}

/** The integers of one tensor, over all pictures. */
export interface OnnxRuntimeTensor {
  readonly name: string;
  /** ONNX shape, the batch first. */
  readonly shape: readonly number[];
  readonly elements: number;
  readonly differing: number;
  /** In steps of the integers. */
  readonly largestDifference: number;
}

export interface OnnxRuntimeComparison {
  readonly pictures: number;
  /** Backend that computed Octet's integers. */
  readonly backend: string;
  /** Those that a QuantizeLinear of the file names, in the order of execution. */
  readonly tensors: readonly OnnxRuntimeTensor[];
  /** The first tensor that differs on any picture, and where; its inputs are the same on both sides, or have no integers in the file. */
  readonly firstDiffering: {
    readonly name: string;
    /** By position. */
    readonly picture: number;
    /** In the logical tensor of one picture, row-major. */
    readonly index: number;
    readonly actual: number;
    readonly expected: number;
  } | null;
  /** A .npz file for numpy.load: `<tensor>.octet` and `<tensor>.onnxruntime`; null unless asked for. */
  readonly dump: Uint8Array | null;
}

const compareArguments = optionsOf({
  ...asyncOptions,
  ...onnxRuntimeOptions,
  backend: oneOf('auto', 'webgpu', 'wasm', 'reference'),
  dump: flag,
});

/**
 * Compares every integer that Octet computes with ONNX Runtime's.
 *
 * @param pictures gone through once, one in memory at a time
 * @throws {InputError} no picture, or the file names no integers: it is no QDQ model
 */
export async function compareWithOnnxRuntime(
  quantized: Graph,
  pictures: Iterable<Picture> | AsyncIterable<Picture>,
  options: CompareWithOnnxRuntimeOptions = {},
): Promise<OnnxRuntimeComparison> {
  check(
    'compareWithOnnxRuntime',
    { quantized: graphSchema, pictures: iterable, options: compareArguments },
    { quantized, pictures, options },
  );
  const { signal, onProgress, imageCount, onnxRuntime, inputShape, backend = 'wasm', dump = false } = options;
  const shape = inputShape === undefined ? {} : { inputShape };
  const { maxActivationBytes } = options;
  const model = await loadFixedModel(quantized, {
    ...{ backend, fuse: false, ...shape },
    ...(maxActivationBytes !== undefined && { maxActivationBytes }),
    ...(signal && { signal }),
  });
  try {
    const found = model.program.tensors.flatMap((tensor) => {
      const integers = integersOf(quantized, tensor);
      return integers ? [new TensorSums(tensor, integers)] : [];
    });
    if (found.length === 0) {
      throw new InputError(
        'the model has no QuantizeLinear whose integers Octet computes: nothing to compare',
      );
    }
    const names = [...new Set(found.map(({ integers }) => integers.name))];
    const session = await openGraphSession(quantized, names, {
      optimize: false,
      ...(onnxRuntime && { onnxRuntime }),
    });
    try {
      let parted = false;
      let dumped: Record<string, Uint8Array> = {};
      let done = 0;
      for await (const batch of imageBatches(quantized, pictures, { batch: 1, ...shape })) {
        signal?.throwIfAborted();
        const expected = await session.run(new Map([[quantized.inputs[0].name, batch]]));
        const input = { [model.inputs[0].name]: batch.data.slice() };
        const actual = await model.values(input, { tensors: found.map(({ tensor }) => tensor.name) });
        const arrays: Record<string, Uint8Array> = {};
        let differs = false;
        for (const sums of found) {
          const { name } = sums.tensor;
          const theirs = expected.get(sums.integers.name)!.data;
          const ours = logicalOrder(sums.tensor, actual.get(name)!.data, 1);
          if (sums.add(ours, theirs)) differs = true;
          if (dump) sums.write(arrays, ours, theirs);
        }
        // The first picture stands until there is one that differs.
        if (dump && (done === 0 || (differs && !parted))) dumped = arrays;
        parted ||= differs;
        done++;
        onProgress?.({ stage: 'evaluate', done, total: imageCount ?? done });
      }
      if (done === 0) throw new InputError('there is no picture to compare on: give at least one');
      return {
        pictures: done,
        backend: model.backend,
        tensors: found.map((sums) => sums.result()),
        firstDiffering: firstOf(found),
        dump: dump ? zipSync(dumped, { mtime: ZIP_TIME }) : null,
      };
    } finally {
      await session.dispose();
    }
  } finally {
    model.dispose();
  }
}

function firstOf(found: readonly TensorSums[]): OnnxRuntimeComparison['firstDiffering'] {
  const sums = found.find(({ where }) => where !== null);
  return sums?.where ? { name: sums.tensor.name, ...sums.where } : null;
}

/** Integers of the file: the output of a QuantizeLinear, and what its zero points are more by than Octet's. */
interface Integers {
  readonly name: string;
  readonly offset: number;
}

/** Those that the tensor holds: of its name, and with its scale. */
function integersOf({ nodes, constants }: Graph, tensor: ProgramTensor): Integers | undefined {
  if (tensor.type !== 'int8') return undefined;
  for (const node of nodes) {
    const [value, scaleName, zeroName = ''] = node.inputs;
    const [name] = node.outputs;
    if (!quantizeLinear.is(node) || (value !== tensor.name && name !== tensor.name)) continue;
    const [scale, zero] = [constants.get(scaleName), constants.get(zeroName)];
    const offset = zero?.dtype === 'uint8' || !zero ? 128 : 0;
    const zeroPoint = Number(zero?.data[0] ?? 0) - offset;
    if (Number(scale?.data[0]) === tensor.scale && zeroPoint === tensor.zeroPoint) return { name, offset };
  }
  return undefined;
}

class TensorSums {
  readonly tensor: ProgramTensor;
  readonly integers: Integers;
  /** The first difference on the first picture that has one. */
  where: { picture: number; index: number; actual: number; expected: number } | null = null;
  #pictures = 0;
  #elements = 0;
  #differing = 0;
  #largest = 0;

  constructor(tensor: ProgramTensor, integers: Integers) {
    this.tensor = tensor;
    this.integers = integers;
  }

  /** Adds a picture; says whether it differs. */
  add(ours: ArrayLike<number>, theirs: ArrayLike<number>): boolean {
    const { offset } = this.integers;
    const before = this.#differing;
    for (let i = 0; i < ours.length; i++) {
      const difference = Math.abs(ours[i] - (theirs[i] - offset));
      if (difference === 0) continue;
      this.#differing++;
      if (difference > this.#largest) this.#largest = difference;
      this.where ??= { picture: this.#pictures, index: i, actual: ours[i], expected: theirs[i] - offset };
    }
    this.#elements += ours.length;
    this.#pictures++;
    return this.#differing > before;
  }

  write(arrays: Record<string, Uint8Array>, ours: ArrayLike<number>, theirs: ArrayLike<number>): void {
    const { name } = this.tensor;
    const shape = this.#shape();
    const file = (side: string) => `${name.replace(/[^\w.-]+/g, '_')}.${side}.npy`;
    arrays[file('octet')] = encodeNpy({ data: Int8Array.from(ours), shape });
    const { offset } = this.integers;
    arrays[file('onnxruntime')] = encodeNpy({ data: Int8Array.from(theirs, (q) => q - offset), shape });
  }

  result(): OnnxRuntimeTensor {
    return {
      name: this.tensor.name,
      shape: this.#shape(),
      elements: this.#elements,
      differing: this.#differing,
      largestDifference: this.#largest,
    };
  }

  #shape(): number[] {
    return [1, ...this.tensor.shape.slice(1)] as number[];
  }
}
