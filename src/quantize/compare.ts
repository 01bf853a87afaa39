/** Comparison of two models value by value: where does an int8 model lose what its float original had? */
import { check, iterable, options as optionsOf } from '../arguments.ts';
import { InputError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { indexGraph } from '../graph/graph-index.ts';
import { dequantizeLinear } from '../graph/operators/dequantize-linear.ts';
import { quantizeLinear } from '../graph/operators/quantize-linear.ts';
import { graphSchema } from '../onnx/graph-schema.ts';
import type { AsyncOptions } from '../progress.ts';
import { imageRunOptions } from './calibrate.ts';
import { openFloatSession, type Batch, type OnnxRuntimeOptions } from './onnx-runtime.ts';
import { decibels } from './quantize.ts';

export interface CompareModelsOptions extends AsyncOptions, OnnxRuntimeOptions {
  /** Number of images, for progress events. */
  readonly imageCount?: number;
}

/** How near one value of the second model is to the same value of the first, over all images. */
export interface ValueComparison {
  /** Name of the value. */
  readonly name: string;
  /** Node of the first model that computes it. */
  readonly node: string;
  readonly op: string;
  /** Power of the first model's value over the power of the difference, in decibels; Infinity where they are equal. */
  readonly sqnr: number;
  /** Cosine of the angle between the two, 1 for parallel; 1 where both are all 0. */
  readonly cosine: number;
  readonly largestDifference: number;
}

/**
 * Runs both models in ONNX Runtime on the same images and compares the values that both have, by name. A value that
 * the second model quantizes is compared as it reads on: dequantized.
 *
 * @param a the reference, typically the float model
 * @param b typically the QDQ model made from it
 * @returns worst SQNR first
 * @throws {InputError} where the models have no value in common or there is no image
 */
export async function compareModels(
  a: Graph,
  b: Graph,
  images: AsyncIterable<Batch> | Iterable<Batch>,
  options: CompareModelsOptions = {},
): Promise<readonly ValueComparison[]> {
  check(
    'compareModels',
    { a: graphSchema, b: graphSchema, images: iterable, options: optionsOf(imageRunOptions) },
    { a, b, images, options },
  );
  const { signal, onProgress, imageCount } = options;
  const readable = readableNames(b);
  const producers = new Map(a.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const names = [...producers.keys()].filter((name) => a.values.has(name) && readable.has(name));
  if (names.length === 0) {
    throw new InputError('the two models have no value of the same name: is the second made from the first?');
  }
  const sums = new Map(names.map((name) => [name, new ComparisonSums()]));
  const first = await openFloatSession(a, names, options);
  try {
    const second = await openFloatSession(b, [...new Set(names.map((name) => readable.get(name)!))], options);
    try {
      let done = 0;
      for await (const batch of images) {
        signal?.throwIfAborted();
        const expected = await first.run(batch);
        const actual = await second.run(batch);
        for (const name of names) {
          sums.get(name)!.add(expected.get(name)!.data, actual.get(readable.get(name)!)!.data, name);
        }
        done += batch.shape[0];
        onProgress?.({ stage: 'evaluate', done, total: imageCount ?? done });
      }
      if (done === 0) throw new InputError('there is no image to compare on: give at least one');
    } finally {
      await second.dispose();
    }
  } finally {
    await first.dispose();
  }
  return names
    .map((name) => {
      const { name: node, op } = producers.get(name)!;
      return { name, node, op, ...sums.get(name)!.result() };
    })
    .sort((x, y) => x.sqnr - y.sqnr);
}

/** Float value → the name to read it by: behind its quantization where it has one. */
function readableNames(graph: Graph): Map<string, string> {
  const index = indexGraph(graph);
  const readable = new Map<string, string>();
  for (const node of graph.nodes) {
    const name = node.outputs[0];
    if (quantizeLinear.is(node)) continue;
    const quantize = index.readers(name).find(quantizeLinear.is);
    const dequantize = quantize && index.readers(quantize.outputs[0]).find(dequantizeLinear.is);
    readable.set(name, dequantize?.outputs[0] ?? name);
  }
  return readable;
}

class ComparisonSums {
  #signal = 0;
  #other = 0;
  #product = 0;
  #noise = 0;
  #largest = 0;

  add(expected: Float32Array, actual: Float32Array, name: string): void {
    if (expected.length !== actual.length) {
      throw new InputError(
        `value "${name}" has ${expected.length} elements in the first model and ${actual.length} in the second`,
      );
    }
    for (let i = 0; i < expected.length; i++) {
      const x = expected[i];
      const y = actual[i];
      const difference = Math.abs(x - y);
      this.#signal += x * x;
      this.#other += y * y;
      this.#product += x * y;
      this.#noise += difference * difference;
      if (difference > this.#largest) this.#largest = difference;
    }
  }

  result(): Pick<ValueComparison, 'sqnr' | 'cosine' | 'largestDifference'> {
    const norms = Math.sqrt(this.#signal * this.#other);
    return {
      sqnr: decibels(this.#signal, this.#noise),
      cosine: norms === 0 ? (this.#noise === 0 ? 1 : 0) : this.#product / norms,
      largestDifference: this.#largest,
    };
  }
}
