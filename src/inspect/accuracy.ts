/** What rounding did to each value of a model, on given pictures: the integers that Octet computes against the float model's values. */
import { check, iterable, oneOf, options as optionsOf, asyncOptions } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Graph, ValueInfo } from '../graph/graph.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadFixedModel } from '../model/load.ts';
import type { LoadOptions } from '../model/model.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import type { ProgramTensor } from '../program/program.ts';
import type { AsyncOptions } from '../progress.ts';
import { decibels } from '../quantize/quantize.ts';
import { onnxRuntimeOptions, openFloatSession, type OnnxRuntimeOptions } from '../quantize/onnx-runtime.ts';
import type { Picture } from '../vision/picture.ts';
import { logicalOrder } from './logical.ts';

export interface MeasureAccuracyOptions
  extends
    AsyncOptions,
    OnnxRuntimeOptions,
    Pick<LoadOptions, 'backend' | 'maxActivationBytes' | 'inputShape'> {
  /** Number of pictures, for progress events. */
  readonly imageCount?: number;
}

/** How near the integers of one value are to the float model's. Decibels are of the float value's power over that of the difference. */
export interface ValueAccuracy {
  /** Name of the value in both models. */
  readonly name: string;
  readonly sqnr: number;
  /** Cosine of the angle between the two; 1 where both are all 0. */
  readonly cosine: number;
  readonly largestDifference: number;
  /** Share of the integers that lie on the lowest or highest level while the float value is beyond it. */
  readonly clippedShare: number;
  /** How often values fall on each range of levels; null where the value is no int8 tensor. */
  readonly levels: LevelHistogram | null;
  /** Those that lose most, worst first: at most four. */
  readonly worstChannels: readonly { readonly channel: number; readonly sqnr: number }[];
  readonly worstPictures: readonly { readonly picture: number; readonly sqnr: number }[];
}

/** Bin `i` holds what lies on levels `first + i · width` to `first + (i + 1) · width − 1`; the outer ones also all that is beyond. */
export interface LevelHistogram {
  readonly first: number;
  readonly width: number;
  /** Of the float values, divided by the scale and rounded, but not clamped. */
  readonly float: readonly number[];
  readonly integer: readonly number[];
}

export interface Accuracy {
  readonly pictures: number;
  /** Backend that computed the integers. All give the same. */
  readonly backend: string;
  /** In the order of execution. */
  readonly values: readonly ValueAccuracy[];
  /** Share of pictures to which both models give the same class; null where the output is no list of classes. */
  readonly agreement: number | null;
  /** Pictures to which they give another, by position. */
  readonly otherAnswers: readonly number[];
}

const measureArguments = optionsOf({
  ...asyncOptions,
  ...onnxRuntimeOptions,
  backend: oneOf('auto', 'webgpu', 'wasm', 'reference'),
});

/**
 * Runs the float model in ONNX Runtime and the quantized one in Octet, and compares every value that both have.
 *
 * @param quantized made from `float`: values have the same names
 * @param pictures gone through once, one in memory at a time
 * @throws {InputError} no picture, or the two models have no value in common
 */
export async function measureAccuracy(
  float: Graph,
  quantized: Graph,
  pictures: Iterable<Picture> | AsyncIterable<Picture>,
  options: MeasureAccuracyOptions = {},
): Promise<Accuracy> {
  check(
    'measureAccuracy',
    { float: graphSchema, quantized: graphSchema, pictures: iterable, options: measureArguments },
    { float, quantized, pictures, options },
  );
  const { signal, onProgress, imageCount, onnxRuntime, inputShape, backend = 'wasm', ...limits } = options;
  const shape = inputShape === undefined ? {} : { inputShape };
  const model = await loadFixedModel(quantized, {
    backend,
    fuse: false,
    ...shape,
    ...(limits.maxActivationBytes !== undefined && { maxActivationBytes: limits.maxActivationBytes }),
    ...(signal && { signal }),
  });
  try {
    const tensors = new Map(model.program.tensors.map((tensor) => [tensor.name, tensor]));
    const produced = new Set(float.nodes.flatMap(({ outputs }) => outputs));
    const names = model.program.operations
      .map(({ output }) => model.program.tensors[output].name)
      .filter((name) => produced.has(name) && float.values.get(name)?.dtype === 'float32');
    if (names.length === 0) {
      throw new InputError(
        'the two models have no value of the same name: is the second made from the first?',
      );
    }
    const answer = classOutput(model.outputs);
    const exposed = new Set([...names, ...(answer === null ? [] : [answer])]);
    const session = await openFloatSession(float, [...exposed], onnxRuntime ? { onnxRuntime } : {});
    try {
      const sums = new Map(names.map((name) => [name, new ValueSums(tensors.get(name)!)]));
      const otherAnswers: number[] = [];
      let done = 0;
      for await (const batch of imageBatches(float, pictures, { batch: 1, ...shape })) {
        signal?.throwIfAborted();
        const expected = await session.run(batch);
        const input = { [model.inputs[0].name]: batch.data.slice() };
        const actual = await model.values(input, { tensors: names });
        for (const name of names) sums.get(name)!.add(expected.get(name)!.data, actual.get(name)!.data);
        if (answer !== null) {
          const { outputs } = await model.run(input);
          if (best(outputs[answer].data) !== best(expected.get(answer)!.data)) otherAnswers.push(done);
        }
        done++;
        onProgress?.({ stage: 'evaluate', done, total: imageCount ?? done });
      }
      if (done === 0) throw new InputError('there is no picture to measure on: give at least one');
      return {
        pictures: done,
        backend: model.backend,
        values: names.map((name) => sums.get(name)!.result()),
        agreement: answer === null ? null : (done - otherAnswers.length) / done,
        otherAnswers,
      };
    } finally {
      await session.dispose();
    }
  } finally {
    model.dispose();
  }
}

/** Name of the one output that tells classes apart. */
export function classOutput(outputs: readonly Pick<ValueInfo, 'name' | 'shape'>[]): string | null {
  const [{ name, shape }] = outputs;
  const sizes = shape.slice(1) as number[];
  const classes = sizes.reduce((product, size) => product * size, 1);
  return outputs.length === 1 && classes > 1 && classes === Math.max(...sizes) ? name : null;
}

/** The place of the highest score. */
export function best(scores: ArrayLike<number | bigint>): number {
  let found = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[found]) found = i;
  return found;
}

/** Levels of a bin, and levels shown: from below −128 to above 127, so that what is clipped is seen. */
const BIN_LEVELS = 4;
const FIRST_LEVEL = -160;
const BINS = 80;
const WORST = 4;

class ValueSums {
  readonly #tensor: ProgramTensor;
  readonly #channels: number;
  /** Of each channel. */
  readonly #signal: Float64Array;
  readonly #noise: Float64Array;
  readonly #pictures: { picture: number; sqnr: number }[] = [];
  readonly #float = new Array<number>(BINS).fill(0);
  readonly #integer = new Array<number>(BINS).fill(0);
  #product = 0;
  #power = 0;
  #largest = 0;
  #clipped = 0;
  #count = 0;

  constructor(tensor: ProgramTensor) {
    this.#tensor = tensor;
    const [, channels = 1] = tensor.shape;
    this.#channels = typeof channels === 'number' ? channels : 1;
    this.#signal = new Float64Array(this.#channels);
    this.#noise = new Float64Array(this.#channels);
  }

  /** Adds one picture: its float values, row-major, and its integers as stored. */
  add(expected: Float32Array, stored: Int8Array | Int32Array | Float32Array): void {
    const tensor = this.#tensor;
    const integers = logicalOrder(tensor, stored, 1);
    const { scale, zeroPoint, type } = tensor;
    const plane = expected.length / this.#channels;
    let [signal, noise] = [0, 0];
    for (let c = 0, i = 0; c < this.#channels; c++) {
      const unit = typeof scale === 'number' ? scale : scale[c];
      let [channelSignal, channelNoise] = [0, 0];
      for (const end = i + plane; i < end; i++) {
        const x = expected[i];
        const q = integers[i];
        const y = unit * (q - zeroPoint);
        const difference = Math.abs(x - y);
        channelSignal += x * x;
        channelNoise += difference * difference;
        this.#product += x * y;
        this.#power += y * y;
        if (difference > this.#largest) this.#largest = difference;
        if (type !== 'int8') continue;
        const level = Math.round(x / unit) + zeroPoint;
        this.#float[binOf(level)]++;
        this.#integer[binOf(q)]++;
        if ((q === -128 && level < -128) || (q === 127 && level > 127)) this.#clipped++;
      }
      this.#signal[c] += channelSignal;
      this.#noise[c] += channelNoise;
      signal += channelSignal;
      noise += channelNoise;
    }
    this.#count += expected.length;
    this.#pictures.push({ picture: this.#pictures.length, sqnr: ratio(signal, noise) });
  }

  result(): ValueAccuracy {
    const signal = this.#signal.reduce((sum, each) => sum + each, 0);
    const noise = this.#noise.reduce((sum, each) => sum + each, 0);
    const norms = Math.sqrt(signal * this.#power);
    const channels = Array.from(this.#signal, (each, channel) => ({
      channel,
      sqnr: ratio(each, this.#noise[channel]),
    }));
    return {
      name: this.#tensor.name,
      sqnr: ratio(signal, noise),
      cosine: norms === 0 ? (noise === 0 ? 1 : 0) : this.#product / norms,
      largestDifference: this.#largest,
      clippedShare: this.#clipped / this.#count,
      levels:
        this.#tensor.type === 'int8'
          ? { first: FIRST_LEVEL, width: BIN_LEVELS, float: this.#float, integer: this.#integer }
          : null,
      worstChannels: channels.sort((a, b) => a.sqnr - b.sqnr).slice(0, WORST),
      worstPictures: this.#pictures.toSorted((a, b) => a.sqnr - b.sqnr).slice(0, WORST),
    };
  }
}

function binOf(level: number): number {
  return Math.min(BINS - 1, Math.max(0, Math.floor((level - FIRST_LEVEL) / BIN_LEVELS)));
}

/** Decibels that mean "no difference", since JSON has no Infinity: more than float32 can tell apart. */
export const EQUAL = 200;

function ratio(signal: number, noise: number): number {
  return Math.min(EQUAL, Math.max(-EQUAL, decibels(signal, noise)));
}
