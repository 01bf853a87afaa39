import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { slidingWindow } from '../../src/graph/geometry.ts';
import type { Attribute, Graph } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { createFloatGraph, randomFloatGraph, randomInputs } from '../support/onnx-models.ts';
import { runOrt } from '../support/ort.ts';

const N = 2;

/** Compares the inferred shape of every value with what ONNX Runtime computes. */
async function expectRuntimeShapes(graph: Graph): Promise<void> {
  const computed = graph.nodes.map(({ outputs }) => outputs[0]);
  // Output shapes are left to the runtime: declared ones it would take over, or refuse.
  const outputs = computed.map((name) => ({
    name,
    dtype: 'float32' as const,
    shape: graph.values.get(name)!.shape.map((_, i) => `${name}.${i}`),
  }));
  const results = await runOrt({ ...graph, outputs }, randomInputs(graph, N, 1), N);
  for (const name of computed) {
    const inferred = graph.values.get(name)!.shape.map((dim) => (dim === 'N' ? N : dim));
    expect([name, inferred]).toEqual([name, results.get(name)!.shape]);
  }
}

test('shapes are those of ONNX Runtime, on random graphs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 1e6 }), (seed) =>
      expectRuntimeShapes(randomFloatGraph(seed, 10)),
    ),
    { seed: 3, numRuns: 15 },
  );
});

test('windows are those of ONNX Runtime: auto_pad, ceil_mode, uneven pads, strides, dilations', async () => {
  for (const size of [5, 6, 7, 8]) {
    const b = createFloatGraph(size);
    const x = b.input('input', ['N', 2, size, size + 3]);
    const w = b.normal('w', [3, 2, 3, 2]);
    for (const strides of [
      [1, 1],
      [2, 2],
    ]) {
      for (const padding of [
        { auto_pad: 'SAME_UPPER' },
        { auto_pad: 'SAME_LOWER' },
        { auto_pad: 'VALID' },
        { pads: [1, 0, 2, 1] },
      ] as Record<string, Attribute>[]) {
        b.node('Conv', [x, w], { strides, ...padding });
        b.node('MaxPool', [x], { kernel_shape: [3, 2], strides, ...padding });
        if (padding.pads) {
          b.node('Conv', [x, w], { strides, dilations: [2, 1], ...padding });
          b.node('MaxPool', [x], { kernel_shape: [3, 2], strides, ceil_mode: 1, ...padding });
          b.node('AveragePool', [x], { kernel_shape: [3, 3], strides, ceil_mode: 1, ...padding });
        }
      }
    }
    await expectRuntimeShapes(b.finish('conv_0'));
  }
});

describe('slidingWindow', () => {
  const pool = (attributes: Record<string, Attribute>) =>
    slidingWindow({ name: 'p', op: 'MaxPool', inputs: ['x'], outputs: ['y'], attributes }, [5, 8]);

  test('resolves SAME padding, the odd row after or before', () => {
    const attributes = { kernel_shape: [4, 3], strides: [1, 2] };
    expect(pool({ ...attributes, auto_pad: 'SAME_UPPER' })).toMatchObject({
      pads: [1, 0, 2, 1],
      outputSize: [5, 4],
    });
    expect(pool({ ...attributes, auto_pad: 'SAME_LOWER' })).toMatchObject({
      pads: [2, 1, 1, 0],
      outputSize: [5, 4],
    });
  });

  test('says how far ceil_mode reaches over the padding', () => {
    const attributes = { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 };
    expect(pool(attributes)).toMatchObject({ outputSize: [3, 4], overhang: [1, 0], pads: [0, 0, 0, 0] });
  });

  test.each<[Record<string, Attribute>, RegExp]>([
    [{}, /kernel_shape must be two integers from 1 to 65535/],
    [{ kernel_shape: [2, 0] }, /kernel_shape/],
    [{ kernel_shape: [2, 2], strides: [1.5, 1] }, /strides/],
    [{ kernel_shape: [2, 2], dilations: [2 ** 40, 1] }, /dilations/],
    [{ kernel_shape: [2, 2], pads: [1, 1] }, /pads must be four integers/],
    [{ kernel_shape: [2, 2], pads: [-1, 0, 0, 0] }, /pads must be four integers from 0 to 65535/],
    [{ kernel_shape: [2, 2], auto_pad: 'SAME' }, /auto_pad must be .* not "SAME"/],
    [{ kernel_shape: [6, 2] }, /window, 6 high, is larger than the padded image, 5/],
  ])('refuses %j', (attributes, reason) => {
    expect(pool(attributes)).toMatch(reason);
  });
});

describe('shapes that do not fit are reported, all at once', () => {
  test('with nodes and both shapes', () => {
    const b = createFloatGraph(1);
    const x = b.input('x', ['N', 3, 6, 6]);
    const w = b.normal('w', [4, 2, 3, 3]);
    const add = [b.input('y', ['N', 2, 6, 6]), x];
    const nodes = [
      { op: 'Conv', inputs: [x, w] },
      { op: 'Add', inputs: add },
      { op: 'Gemm', inputs: [x, w] },
      { op: 'Concat', inputs: [x, 'y'], attributes: { axis: 2 } },
      { op: 'BatchNormalization', inputs: [x, 'bn', 'bn', 'bn', 'bn'] },
      { op: 'Flatten', inputs: [x], attributes: { axis: 7 } },
      { op: 'Reshape', inputs: [x, 'target'] },
      { op: 'Squeeze', inputs: [x, 'target'] },
    ].map((node, i) => ({ name: `n${i}`, outputs: [`v${i}`], attributes: {}, ...node }));
    b.normal('bn', [5]);
    b.constant('target', [2], BigInt64Array.of(7n, -1n));
    const graph = { ...b.finish('x'), nodes };
    let error: unknown;
    try {
      inferShapes(graph);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).problems.map(({ node, reason }) => `${node}: ${reason}`)).toEqual([
      'n0: the image has 3 channels, but the weights expect 2',
      'n1: shapes [N,2,6,6] and [N,3,6,6] cannot be broadcast together',
      'n2: needs two matrices, has shapes [N,3,6,6] and [4,2,3,3]',
      'n3: inputs differ outside axis 2: [N,3,6,6] and [N,2,6,6]',
      'n4: a parameter has shape [5], expected [3]',
      'n5: axis 7 is outside a tensor of shape [N,3,6,6]',
      'n7: axes [7,-1] do not fit a tensor of rank 4',
    ]);
  });

  test('a Slice whose bounds are lists of different lengths has no shape', () => {
    const b = createFloatGraph(1);
    const x = b.input('x', [2, 3]);
    b.constant('starts', [2], BigInt64Array.of(0n, 0n));
    b.constant('ends', [1], BigInt64Array.of(1n));
    const sliced = b.node('Slice', [x, 'starts', 'ends']);
    expect(b.finish(x, sliced).values.has(sliced)).toBe(false);
  });

  test('a reshape with fixed sizes that do not agree', () => {
    const b = createFloatGraph(1);
    const x = b.input('x', [2, 3, 5]);
    b.constant('target', [2], BigInt64Array.of(4n, -1n));
    expect(() => b.shape(b.node('Reshape', [x, 'target']))).toThrow(
      /\[2,3,5\] cannot be reshaped to \[4,-1\]/,
    );
  });

  test('an output declared otherwise', () => {
    const b = createFloatGraph(1);
    const graph = b.finish(b.relu(b.input('x', ['N', 3])));
    const outputs = graph.outputs.map((info) => ({ ...info, shape: ['N', 4] }));
    expect(() => inferShapes({ ...graph, outputs })).toThrow(/declared \[N,4\], but has shape \[N,3\]/);
  });
});
