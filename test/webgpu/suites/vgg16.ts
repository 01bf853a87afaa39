/** The flagship on real pictures: every tensor of the network, at several batch sizes, against the reference. */
import { loadModel } from '../../../src/model/load.ts';
import type { TensorValues } from '../../../src/model/model.ts';
import { compareTensors } from '../../../src/model/compare.ts';
import { readSheet } from '../../../src/vision/sheet.ts';
import { Checks, describeAdapter, withDevice } from './suite.ts';
import type { Suite } from './suite.ts';

export interface Vgg16Options {
  readonly pictures: number;
  readonly batches: readonly number[];
}

export const vgg16 =
  ({ pictures: count, batches }: Vgg16Options): Suite =>
  (environment) =>
    withDevice(async (open) => {
      const checks = new Checks();
      const bytes = await environment.read('models/vgg16-cifar10.int8.onnx');
      const index: unknown = JSON.parse(
        new TextDecoder().decode(await environment.read('models/cifar10/test-1000.json')),
      );
      const sheet = await readSheet(await environment.read('models/cifar10/test-1000.png'), index);
      const pictures = sheet.pictures.slice(0, count);
      using reference = await loadModel(bytes, { backend: 'reference' });
      using model = await loadModel(bytes, { backend: 'webgpu', device: open.device, batches: [] });
      const input = model.inputs[0].name;

      // One image at a time: an image's integers do not depend on the batch it is in.
      const expected: ReadonlyMap<string, TensorValues>[] = [];
      for (const picture of pictures) expected.push(await reference.values({ [input]: picture }));

      for (const batch of batches) {
        for (let first = 0; first < pictures.length; first += batch) {
          const part = pictures.slice(first, first + batch);
          await checks.part(`batch ${batch} from picture ${first}`, async () => {
            const actual = await model.values({ [input]: part });
            const comparison = compareTensors(
              { backend: 'webgpu', tensors: actual },
              { backend: 'reference', tensors: joined(expected.slice(first, first + batch)) },
            );
            for (const tensor of comparison.tensors) checks.that(tensor.differing === 0, comparison.report);
          });
        }
      }
      await checks.part('plan', async () => {
        const { dispatches, memory } = await model.plan(1);
        checks.that(
          dispatches <= 20,
          `a run at batch 1 takes ${dispatches} dispatches, at most 20 are wanted`,
        );
        const { peakBytes, lowerBoundBytes } = memory;
        checks.that(
          peakBytes <= 1.15 * lowerBoundBytes,
          `activations take ${peakBytes} bytes, the lower bound is ${lowerBoundBytes}`,
        );
      });
      return { adapter: describeAdapter(open), cases: checks.cases, failures: checks.failures };
    });

/** Tensors of single images as those of a batch. */
function joined(images: readonly ReadonlyMap<string, TensorValues>[]): Map<string, TensorValues> {
  const batch = new Map<string, TensorValues>();
  for (const [name, first] of images[0]) {
    const parts = images.map((image) => image.get(name)!.data);
    const length = first.data.length;
    const data =
      first.data instanceof Int8Array
        ? new Int8Array(length * parts.length)
        : new Int32Array(length * parts.length);
    for (const [index, part] of parts.entries()) data.set(part, index * length);
    const [, ...image] = first.shape;
    batch.set(name, { ...first, data, shape: [parts.length, ...image] });
  }
  return batch;
}
