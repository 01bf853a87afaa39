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

  async function runPicture(values: Float32Array, side: number): Promise<Float32Array> {
    const feed = new Tensor(values, [1, side, side, 3]);
    const [output] = await compiled.run(feed);
    const logits = Float32Array.from((await output.data()) as Float32Array);
    feed.delete();
    output.delete();
    return logits;
  }

  return {
    // Its files are of batch 1: a batch is as many calls.
    async run(input) {
      const side = sideOf(input);
      const values = toFloat(input);
      const length = side * side * 3;
      const logits: Float32Array[] = [];
      for (let at = 0; at < values.length; at += length)
        logits.push(await runPicture(values.subarray(at, at + length), side));
      const all = new Float32Array(logits.length * logits[0].length);
      logits.forEach((own, i) => all.set(own, i * own.length));
      return all;
    },
    dispose: () => compiled.delete(),
  };
};
