import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';

test('optimized VGG16 has 13 convolutions and 3 dense layers, and the logits of the file', async () => {
  const file = readFileSync(new URL('../../models/vgg16-cifar10.onnx', import.meta.url));
  const graph = optimize(decodeModel(file));
  const count = (op: string) => graph.nodes.filter((node) => node.op === op).length;
  expect([count('Conv'), count('Gemm'), count('Relu'), count('MaxPool')]).toEqual([13, 3, 15, 5]);
  expect(graph.nodes.map(({ op }) => op)).not.toContain('BatchNormalization');

  const inputs = randomInputs(graph, 3, 1);
  const before = (await runOrt(file, inputs, 3)).get('logits')!;
  const after = (await runOrt(graph, inputs, 3)).get('logits')!;
  expect(after.shape).toEqual([3, 10]);
  expect(relativeDifference(after.data as Float32Array, before.data as Float32Array)).toBeLessThan(1e-5);
});
