/** onnxruntime-node in the place of Octet behind the same server (`bench/serving.ts --ort`): float32 in, float32 out. */
import { serveParent } from '../src/serve/process-child.ts';
import { loadFixedModel } from '../src/index.ts';
import type { UnitResult } from '../src/serve/units.ts';

/** The part of the package that is used; it is no dependency of this one. */
interface OnnxRuntimeNode {
  readonly InferenceSession: {
    create(
      path: string,
      options: object,
    ): Promise<{
      run(feeds: Record<string, unknown>): Promise<Record<string, { readonly data: Float32Array }>>;
    }>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => unknown;
}

serveParent(async ({ source, load, batches }) => {
  const name = 'onnxruntime-node';
  const ort = (await import(name)) as OnnxRuntimeNode;
  const path = source as string;
  const threads = load.threads ?? 1;
  const session = await ort.InferenceSession.create(path, { intraOpNumThreads: threads });
  // Octet's description of the same file.
  using model = await loadFixedModel(path, { backend: 'reference' });
  const { inputs, outputs, labels } = model;
  const [{ name: input, channels, height, width }] = inputs;
  const perPicture = channels * height * width;
  const run = async (values: Float32Array, count: number): Promise<UnitResult[]> => {
    const results = await session.run({
      [input]: new ort.Tensor('float32', values, [count, channels, height, width]),
    });
    return Array.from({ length: count }, (_, index) => ({
      outputs: outputs.map((output) => {
        const { data } = results[output.name];
        const length = data.length / count;
        const part = data.subarray(index * length, (index + 1) * length);
        return { name: output.name, shape: output.shape.slice(1) as number[], data: part, integers: part };
      }),
    }));
  };
  for (const batch of batches) await run(new Float32Array(batch * perPicture), batch);
  return {
    model: {
      hash: name,
      inputs: inputs.map((one) => ({ ...one, dtype: 'float32' as const })),
      outputs,
      labels,
      noPixels: 'this engine takes tensors only',
      noPictures: null,
      backend: 'wasm',
      backendReason: name,
      threads,
      adapter: null,
    },
    run(units) {
      const values = new Float32Array(units.length * perPicture);
      for (const [index, unit] of units.entries()) {
        if (unit.kind !== 'inputs') throw new Error('this engine takes tensors only');
        values.set(unit.inputs[input].data, index * perPicture);
      }
      return run(values, units.length);
    },
  };
});
