/** Models as evaluation sees them: float ones through ONNX Runtime, quantized ones through Octet. */
import type { Classifier } from '../model/evaluate.ts';
import type { Graph } from '../graph/graph.ts';
import { imageBatches } from '../model/image-batches.ts';
import { loadModel } from '../model/load.ts';
import type { LoadOptions } from '../model/model.ts';
import { openFloatSession } from '../quantize/onnx-runtime.ts';
import type { Picture } from '../vision/picture.ts';
import { activationLimit } from './options.ts';
import { ReferencePool } from './reference-pool.ts';
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

/** A quantized model in Octet. The reference backend, plain loops, is spread over worker threads. */
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
    const pool = new ReferencePool(graph, activationLimit(options), options.threads);
    return {
      name,
      engine: `octet (reference, ${pool.processes} processes), int8`,
      reason: model.backendReason,
      scores: (pictures) => pool.scores(pictures),
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

export function rowsOf(data: Float32Array, rows: number): Float32Array[] {
  const length = data.length / rows;
  return Array.from({ length: rows }, (_, row) => data.subarray(row * length, (row + 1) * length));
}
