/** ONNX Runtime (WebAssembly, one thread) as the judge of float graphs and of files. */
import * as ort from 'onnxruntime-web';
import type { Graph } from '../../src/graph/graph.ts';
import { encodeModel } from '../../src/onnx/encode.ts';

ort.env.wasm.numThreads = 1;

export interface OrtResult {
  readonly shape: readonly number[];
  readonly data: ort.Tensor['data'];
}

export type OrtResults = ReadonlyMap<string, OrtResult>;

/** Runs a model on float inputs of `batch` images and returns its outputs. */
export async function runOrt(
  model: Graph | Uint8Array,
  inputs: ReadonlyMap<string, Float32Array>,
  batch: number,
): Promise<OrtResults> {
  const bytes = model instanceof Uint8Array ? model : encodeModel(model);
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'disabled',
    // Errors only: its warnings are about initializers that passes leave unused.
    logSeverityLevel: 3,
  });
  try {
    const feeds: Record<string, ort.Tensor> = {};
    for (const metadata of session.inputMetadata) {
      if (!metadata.isTensor) throw new Error(`input ${metadata.name} is not a tensor`);
      const dims = metadata.shape.map((dim) => (typeof dim === 'number' ? dim : batch));
      feeds[metadata.name] = new ort.Tensor('float32', inputs.get(metadata.name)!, dims);
    }
    const results = await session.run(feeds);
    return new Map(Object.entries(results).map(([name, { dims, data }]) => [name, { shape: dims, data }]));
  } finally {
    await session.release();
  }
}

/** Largest difference of two lists of numbers, relative to the largest magnitude; infinite where lengths differ. */
export function relativeDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let magnitude = 1e-6;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    magnitude = Math.max(magnitude, Math.abs(expected[i]));
    if (Number.isNaN(actual[i]) || Number.isNaN(expected[i])) return Infinity;
  }
  return difference / magnitude;
}
