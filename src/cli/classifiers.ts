/** Models as evaluation sees them: float ones through ONNX Runtime, quantized ones through Octet. */
import { availableParallelism } from 'node:os';
import { InputError } from '../errors.ts';
import type { Classifier } from '../model/evaluate.ts';
import type { Graph } from '../graph/graph.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadModel } from '../model/load.ts';
import type { LoadOptions } from '../model/model.ts';
import { withDynamicRanges } from '../quantize/dynamic-ranges.ts';
import { openFloatSession } from '../quantize/onnx-runtime.ts';
import { quantizeImage } from '../quantize/scheme.ts';
import type { Picture } from '../vision/picture.ts';
import { ProcessPool } from '../serve/process-pool.ts';
import type { UnitResult } from '../serve/units.ts';
import { activationLimit } from './options.ts';
import { configuredOnnxRuntime } from './runtime.ts';

export interface OpenClassifier extends Classifier {
  /** What runs it. */
  readonly engine: string;
  /** Why that, where there was a choice. */
  readonly reason?: string;
  dispose(): Promise<void>;
}

/** A float model in ONNX Runtime. */
export async function openFloatClassifier(
  name: string,
  graph: Graph,
  threads?: number,
): Promise<OpenClassifier> {
  const output = graph.outputs[0].name;
  const session = await openFloatSession(graph, [output], {
    onnxRuntime: await configuredOnnxRuntime(threads),
  });
  return {
    name,
    engine: 'onnxruntime-web (wasm), float32',
    async scores(pictures) {
      const scores: Float32Array[] = [];
      for await (const batch of imageBatches(graph, pictures, { batch: pictures.length })) {
        const { data } = (await session.run(batch)).get(output)!;
        scores.push(...rowsOf(data, pictures.length));
      }
      return scores;
    },
    dispose: () => session.dispose(),
  };
}

/** A float model whose weights, pictures and activations are rounded to `bits` bits, with ranges from each batch. */
export async function openDynamicClassifier(
  name: string,
  graph: Graph,
  bits: number,
  threads?: number,
): Promise<OpenClassifier> {
  const classifier = await openFloatClassifier(name, withDynamicRanges(graph, bits), threads);
  return {
    ...classifier,
    engine: `${classifier.engine}, rounded to ${bits} ${bits === 1 ? 'bit' : 'bits'}`,
    scores: (pictures) =>
      classifier.scores(pictures.map((picture) => ({ ...picture, data: quantizeImage(picture.data, bits) }))),
  };
}

/** A quantized model in Octet. The reference backend, plain loops, is spread over processes: pictures have nothing else to share. */
export async function openQuantizedClassifier(
  name: string,
  graph: Graph,
  options: Pick<LoadOptions, 'backend' | 'signal' | 'threads' | 'maxActivationBytes'>,
): Promise<OpenClassifier> {
  const model = await loadModel(graph, options);
  const output = model.outputs[0].name;
  const input = model.inputs[0].name;
  if (model.backend === 'reference') {
    model.dispose();
    const processes = options.threads ?? availableParallelism();
    const pool = await ProcessPool.open({
      source: graph,
      load: { backend: 'reference', ...activationLimit(options) },
      batches: [],
      processes,
    });
    return {
      name,
      engine: `octet (reference, ${processes} processes), int8`,
      reason: model.backendReason,
      async scores(pictures) {
        const results = await Promise.all(
          pictures.map((picture) => pool.run([{ kind: 'picture', picture }])),
        );
        return results.map(([result]) => scoresOf(result));
      },
      dispose: () => {
        pool.dispose();
        return Promise.resolve();
      },
    };
  }
  return {
    name,
    engine: `octet (${model.backend}), int8`,
    reason: model.backendReason,
    async scores(pictures: readonly Picture[]) {
      const { outputs } = await model.run({ [input]: pictures });
      return rowsOf(Float32Array.from(outputs[output].data), pictures.length);
    },
    dispose: () => {
      model.dispose();
      return Promise.resolve();
    },
  };
}

/** The first output's values, as numbers. */
function scoresOf(result: UnitResult): Float32Array {
  if ('error' in result) throw new InputError(result.error);
  return Float32Array.from(result.outputs[0].data);
}

export function rowsOf(data: Float32Array, rows: number): Float32Array[] {
  const length = data.length / rows;
  return Array.from({ length: rows }, (_, row) => data.subarray(row * length, (row + 1) * length));
}
