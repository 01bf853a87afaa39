import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';
import { sideOf, toFloatNhwc } from './contender.ts';
import type { LoadContender } from './contender.ts';

/** bench/serve.ts puts the package's WebAssembly there: it is loaded by scripts of its own, past any bundler. */
const WASM_FOLDER = new URL('litert/', document.baseURI).href;

export const load: LoadContender = async ({ device, threads }, { model, preprocessing }) => {
  const onGpu = device === 'webgpu';
  await loadLiteRt(WASM_FOLDER, { threads: !onGpu && threads > 1 });
  const compiled = await loadAndCompile(model, {
    accelerator: onGpu ? 'webgpu' : 'wasm',
    cpuOptions: { numThreads: threads },
    // As the other engines compute in float.
    gpuOptions: { precision: 'fp32' },
  });
  if (onGpu && !compiled.isFullyAccelerated) throw new Error('part of the network would run on the CPU');
  const toFloat = toFloatNhwc(preprocessing);
  return {
    async run(input) {
      const side = sideOf(input);
      const feed = new Tensor(toFloat(input), [input.batch, side, side, 3]);
      const [output] = await compiled.run(feed);
      const logits = Float32Array.from((await output.data()) as Float32Array);
      feed.delete();
      output.delete();
      return logits;
    },
    dispose: () => compiled.delete(),
  };
};
