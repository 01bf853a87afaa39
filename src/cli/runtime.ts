import { availableParallelism } from 'node:os';
import { OctetError } from '../errors.ts';
import type { OnnxRuntimeModule } from '../quantize/onnx-runtime.ts';

/** ONNX Runtime with as many threads as there are cores: it takes half by itself. Used for float models only. */
export async function configuredOnnxRuntime(threads = availableParallelism()): Promise<OnnxRuntimeModule> {
  try {
    const onnxRuntime = await import('onnxruntime-web');
    onnxRuntime.env.wasm.numThreads = threads;
    return onnxRuntime;
  } catch (cause) {
    throw new OctetError(
      'float models are run by onnxruntime-web, which is not installed: npm install onnxruntime-web',
      {
        cause,
      },
    );
  }
}
