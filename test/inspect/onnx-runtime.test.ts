/** Octet's integers against ONNX Runtime's: one that is changed on its way is found, in the tensor and place where it is. */
import * as ort from 'onnxruntime-web';
import { expect, test } from 'vitest';
import { compareWithOnnxRuntime } from '../../src/inspect/onnx-runtime.ts';
import { assumedQuantization } from '../../src/model/support.ts';
import { createFloatGraph } from '../support/onnx-models.ts';

ort.env.wasm.numThreads = 1;

const b = createFloatGraph(6);
const first = b.relu(b.conv(b.input('input', ['N', 3, 8, 8]), 8));
const second = b.relu(b.conv(first, 8));
const quantized = {
  ...assumedQuantization(b.finish(b.gemm(b.globalPool(second), 5))),
  metadata: new Map([
    ['mean', '0,0,0'],
    ['std', '1,1,1'],
  ]),
};
const pictures = [40, 200].map((grey) => ({ width: 8, height: 8, data: new Uint8Array(192).fill(grey) }));

/** ONNX Runtime, but for one integer of one tensor in each run from the second on. */
function changing(tensor: string, index: number): typeof ort {
  let runs = 0;
  const create = async (...args: Parameters<typeof ort.InferenceSession.create>) => {
    const session = await ort.InferenceSession.create(...args);
    return {
      async run(feeds: ort.InferenceSession.FeedsType) {
        const results = await session.run(feeds);
        const { data, dims } = results[tensor];
        const changed = Int8Array.from(data as Int8Array);
        if (runs++ > 0) changed[index] += changed[index] > 100 ? -3 : 3;
        return { ...results, [tensor]: new ort.Tensor('int8', changed, dims) };
      },
      release: () => session.release(),
    };
  };
  return { ...ort, InferenceSession: { create } } as unknown as typeof ort;
}

test('names the first tensor, the picture and the element', async () => {
  const same = await compareWithOnnxRuntime(quantized, pictures, { onnxRuntime: ort });
  expect(same).toMatchObject({ pictures: 2, backend: 'wasm', dump: null });
  expect(same.tensors.map(({ elements }) => elements)).toEqual([384, 1024, 1024, 16]);
  expect(Math.max(...same.tensors.map(({ largestDifference }) => largestDifference))).toBeLessThanOrEqual(1);

  const found = await compareWithOnnxRuntime(quantized, pictures, {
    onnxRuntime: changing(`${second}_quantized`, 77),
    dump: true,
  });
  expect(found.firstDiffering).toMatchObject({ name: second, picture: 1, index: 77 });
  const [spoiled] = found.tensors.filter(({ name }) => name === second);
  expect(spoiled).toMatchObject({ differing: 1, largestDifference: 3, shape: [1, 8, 8, 8] });
  expect(found.dump).toBeInstanceOf(Uint8Array);
});
