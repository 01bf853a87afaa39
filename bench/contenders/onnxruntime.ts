import type * as OnnxRuntime from 'onnxruntime-web';
import { sideOf, toFloatNchw } from './contender.ts';
import type { LoadContender } from './contender.ts';

/** Each device has a build of its own; the one for WASM is not slowed by what WebGPU needs (Asyncify). */
async function importRuntime(device: 'webgpu' | 'wasm'): Promise<typeof OnnxRuntime> {
  if (device === 'webgpu') {
    const [ort, { default: wasm }] = await Promise.all([
      import('onnxruntime-web/webgpu'),
      import('onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'),
    ]);
    ort.env.wasm.wasmPaths = { wasm };
    return ort;
  }
  const [ort, { default: mjs }, { default: wasm }] = await Promise.all([
    import('onnxruntime-web/wasm'),
    import('onnxruntime-web/ort-wasm-simd-threaded.mjs?url'),
    import('onnxruntime-web/ort-wasm-simd-threaded.wasm?url'),
  ]);
  ort.env.wasm.wasmPaths = { mjs, wasm };
  return ort;
}

export const load: LoadContender = async ({ device, threads }, { model, preprocessing }) => {
  const onGpu = device === 'webgpu';
  const ort = await importRuntime(onGpu ? 'webgpu' : 'wasm');
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: onGpu ? [{ name: 'webgpu', preferredLayout: 'NHWC' }] : ['wasm'],
    graphOptimizationLevel: 'all',
    ...(onGpu && { preferredOutputLocation: 'gpu-buffer' as const }),
  });
  const inputName = session.inputNames[0];
  const outputName = session.outputNames[0];
  const toFloat = toFloatNchw(preprocessing);
  return {
    async run(input) {
      const side = sideOf(input);
      const feed = new ort.Tensor('float32', toFloat(input), [input.batch, 3, side, side]);
      const results = await session.run({ [inputName]: feed });
      const logits = (await results[outputName].getData(true)) as Float32Array;
      feed.dispose();
      return logits;
    },
    dispose: () => session.release(),
  };
};
