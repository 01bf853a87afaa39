/** Outputs with odd names and scales: all of them are there, under their names, with numbers in them. */
import { expect, test } from 'vitest';
import { InputError, ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { loadModel } from '../../src/model/load.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { modelBytes, node, value } from '../support/onnx-proto.ts';
import { createQdqGraph } from '../support/qdq-graph.ts';

const reference = { backend: 'reference' } as const;

function quantizeOnly(scale: number, outputs?: readonly string[]): Graph {
  const b = createQdqGraph();
  const y = b.qdq(b.input('x', ['N', 1, 1, 2]), scale, 0);
  for (const name of outputs ?? [y]) b.output(name, ['N', 1, 1, 2]);
  const graph = b.build();
  if (!outputs) return graph;
  const nodes = graph.nodes.map((each) =>
    each.outputs[0] === y ? { ...each, outputs: [outputs[0]] } : each,
  );
  return { ...graph, nodes };
}

test.each(['__proto__', 'constructor', 'toString'])('an output called %s', async (name) => {
  using model = await loadModel(encodeModel(quantizeOnly(0.5, [name])), reference);
  const { outputs } = await model.run({ x: Float32Array.of(1, 2) });
  expect(Object.keys(outputs)).toEqual([name]);
  expect(Object.getOwnPropertyDescriptor(outputs, name)?.value).toMatchObject({
    data: Float32Array.of(1, 2),
  });
});

test('an input called __proto__ is not found in an object without it', async () => {
  const b = createQdqGraph();
  b.output(b.qdq(b.input('__proto__', ['N', 1, 1, 2]), 1, 0), ['N', 1, 1, 2]);
  using model = await loadModel(b.build(), reference);
  await expect(model.run({})).rejects.toThrow('input "__proto__" is missing');
  const { outputs } = await model.run(Object.fromEntries([['__proto__', Float32Array.of(1, 2)]]));
  expect(Object.values(outputs)[0].data).toEqual(Float32Array.of(1, 2));
});

test('an output declared twice is refused, in a file and in a graph', async () => {
  const file = modelBytes({
    input: [value('x', ['N', 1, 1, 2])],
    output: [value('y', ['N', 1, 1, 2]), value('y', ['N', 1, 1, 2])],
    node: [node('Relu', ['x'], ['y'])],
  });
  const twice = /two outputs have this name/;
  await expect(loadModel(file)).rejects.toThrow(twice);
  await expect(loadModel(file)).rejects.toThrow(ModelError);
  const graph = loadModel(quantizeOnly(0.5, ['y', 'y']));
  await expect(graph).rejects.toThrow(InputError);
  await expect(graph).rejects.toThrow(/outputs must be a list of values of different names/);
});

test.each([3.4e38, 1.4e36])('a scale of %d, whose values are no float32, is refused', async (scale) => {
  const loading = loadModel(quantizeOnly(scale), reference);
  await expect(loading).rejects.toThrow(ModelError);
  await expect(loading).rejects.toThrow(/255 times it a float32/);
});

test('a scale of 1.3e36 gives finite values', async () => {
  using model = await loadModel(quantizeOnly(1.3e36), reference);
  const { outputs } = await model.run({ x: Float32Array.of(3e38, -3e38) });
  expect(Object.values(outputs)[0].data.every(Number.isFinite)).toBe(true);
});

test('accumulators whose scale is the product of two large ones', async () => {
  const b = createQdqGraph();
  const x = b.qdq(b.input('x', ['N', 1, 1, 1]), 1e30, 0);
  b.output(b.node('Conv', [x, b.dq([1, 1, 1, 1], Int8Array.of(1), 1e8)]), ['N', 1, 1, 1]);
  await expect(loadModel(b.build(), reference)).rejects.toThrow(/values leave float32|float32/);
});
