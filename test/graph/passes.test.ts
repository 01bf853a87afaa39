import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Graph, Node } from '../../src/graph/graph.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { denseToGemm } from '../../src/graph/passes/dense-to-gemm.ts';
import { batchNormToConv, foldAffine } from '../../src/graph/passes/fold-affine.ts';
import { foldConstants } from '../../src/graph/passes/fold-constants.ts';
import { foldPad } from '../../src/graph/passes/fold-pad.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { removeIdentities } from '../../src/graph/passes/remove-identities.ts';
import { removeUnused } from '../../src/graph/passes/remove-unused.ts';
import { transposedToConv } from '../../src/graph/passes/transposed-to-conv.ts';
import { createFloatGraph, floatNets, randomFloatGraph, randomInputs } from '../support/onnx-models.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';

const passes = {
  foldConstants,
  removeIdentities,
  foldPad,
  denseToGemm,
  foldAffine,
  batchNormToConv,
  removeUnused,
  optimize,
};

/** Float rounding only: folded weights are rounded once more, and sums may run in another order. */
const TOLERANCE = 2e-5;

async function expectSame(before: Graph, after: Graph): Promise<void> {
  const inputs = randomInputs(before, 2, 7);
  const expected = await runOrt(before, inputs, 2);
  const actual = await runOrt(after, inputs, 2);
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  for (const [name, { shape, data }] of expected) {
    expect(actual.get(name)!.shape).toEqual(shape);
    expect(relativeDifference(actual.get(name)!.data as Float32Array, data as Float32Array)).toBeLessThan(
      TOLERANCE,
    );
  }
}

const ops = (graph: Graph) => graph.nodes.map(({ op }) => op);

describe('every pass leaves what ONNX Runtime computes', () => {
  for (const [name, pass] of Object.entries(passes)) {
    test(`${name}, on random graphs`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 1e6 }), async (seed) => {
          const graph = randomFloatGraph(seed);
          await expectSame(graph, inferShapes(pass(graph)));
        }),
        { seed: 20, numRuns: name === 'optimize' ? 30 : 6 },
      );
    });
  }

  for (const [name, model] of Object.entries(floatNets)) {
    test(`optimize, on ${name}`, async () => {
      const graph = model(3);
      const after = optimize(graph);
      await expectSame(graph, after);
      expect(ops(after)).not.toContain('BatchNormalization');
      const isProduct = ({ op, inputs }: Node) => op === 'MatMul' && after.constants.has(inputs[1]);
      expect(after.nodes.filter(isProduct)).toEqual([]);
    });
  }
});

describe('foldAffine', () => {
  test('folds with and without a bias, several functions in a row', async () => {
    const b = createFloatGraph(1);
    let x = b.conv(b.input('input', ['N', 3, 6, 6]), 5, { bias: false });
    x = b.batchNorm(x);
    x = b.node('Mul', [b.normal('gain', [1, 5, 1, 1]), x]);
    x = b.node('Sub', [b.normal('offset', [5, 1, 1]), x]);
    x = b.node('Div', [x, b.constant('two', [], Float32Array.of(2))]);
    const graph = b.finish(x);
    const after = inferShapes(removeUnused(foldAffine(graph)));
    expect(ops(after)).toEqual(['Conv']);
    await expectSame(graph, after);
  });

  test('leaves a convolution alone whose result something else reads', async () => {
    const b = createFloatGraph(2);
    const x = b.conv(b.input('input', ['N', 3, 6, 6]), 5);
    const graph = b.finish(b.node('Add', [x, b.batchNorm(x)]));
    expect(ops(foldAffine(graph))).toEqual(ops(graph));
    await expectSame(graph, optimize(graph));
  });

  test('leaves a convolution alone whose result is an output of the graph', async () => {
    const b = createFloatGraph(3);
    const x = b.conv(b.input('input', ['N', 3, 6, 6]), 5);
    const graph = b.finish(x, b.batchNorm(x));
    expect(ops(foldAffine(graph))).toEqual(ops(graph));
    await expectSame(graph, optimize(graph));
  });

  test('does not change weights that another convolution shares', async () => {
    const b = createFloatGraph(4);
    const input = b.input('input', ['N', 3, 6, 6]);
    const weights = b.normal('shared', [3, 3, 3, 3]);
    const bias = b.normal('bias', [3]);
    const attributes = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] };
    const first = b.batchNorm(b.node('Conv', [input, weights, bias], attributes));
    const graph = b.finish(b.node('Conv', [first, weights, bias], attributes));
    const after = optimize(graph);
    expect(ops(after)).toEqual(['Conv', 'Conv']);
    await expectSame(graph, after);
  });

  test('leaves parameters alone that are no floats', () => {
    const b = createFloatGraph(6);
    const graph = b.finish(b.batchNorm(b.conv(b.input('input', ['N', 3, 6, 6]), 2)));
    const constants = new Map(graph.constants);
    const mean = constants.get('batchnormalization_1.running_mean')!;
    constants.set(mean.name, { ...mean, dtype: 'int64', data: BigInt64Array.of(1n, 2n) });
    expect(ops(foldAffine({ ...graph, constants }))).toEqual(['Conv', 'BatchNormalization']);
  });

  test('reports variances that make weights infinite, by node', () => {
    const b = createFloatGraph(5);
    const graph = b.finish(b.batchNorm(b.conv(b.input('input', ['N', 3, 6, 6]), 2)));
    const constants = new Map(graph.constants);
    const variance = constants.get('batchnormalization_1.running_var')!;
    constants.set(variance.name, { ...variance, data: Float32Array.of(1, -1) });
    expect(() => foldAffine({ ...graph, constants })).toThrow(/batchnormalization_1.*not finite/);
  });
});

test('denseToGemm folds alpha, beta and a transposed weight', async () => {
  const b = createFloatGraph(6);
  const x = b.input('input', ['N', 7]);
  const inputs = [x, b.normal('w', [7, 4]), b.normal('c', [1, 4])];
  const graph = b.finish(b.node('Gemm', inputs, { alpha: 0.5, beta: 3 }));
  const after = inferShapes(denseToGemm(graph));
  expect(after.nodes[0].attributes).toEqual({ transB: 1 });
  expect(after.constants.get('w')!.shape).toEqual([4, 7]);
  expect(after.constants.get('c')!.shape).toEqual([4]);
  await expectSame(graph, after);
});

describe('transposedToConv', () => {
  const transposed = (size: readonly (number | string)[], kernel: number, attributes: Node['attributes']) => {
    const b = createFloatGraph(7);
    const x = b.input('input', ['N', 6, ...size]);
    const w = b.normal('w', [6, 4, kernel, kernel], 0.3);
    return inferShapes(b.finish(b.node('ConvTranspose', [x, w], attributes)));
  };

  test('needs no height and width where the padding does not depend on them', () => {
    const attributes = { strides: [2, 2] };
    const open = transposedToConv(transposed(['height', 'width'], 2, attributes));
    expect(open.nodes.map(({ op }) => op)).toEqual(['Conv', 'DepthToSpace']);
    expect(open.nodes).toEqual(transposedToConv(transposed([5, 7], 2, attributes)).nodes);
    const [{ name }] = open.outputs;
    expect(inferShapes(open).values.get(name)!.shape).toEqual(['N', 4, `${name}.2`, `${name}.3`]);
  });

  test.each([
    ['a longer kernel', 3, { strides: [2, 2] }],
    ['a given size', 2, { strides: [2, 2], output_shape: [128, 128] }],
  ])('leaves open sizes alone with %s', (_, kernel, attributes) => {
    const graph = transposed(['height', 'width'], kernel, attributes);
    expect(transposedToConv(graph).nodes).toEqual(graph.nodes);
  });
});

describe('foldPad', () => {
  const padded = (
    reader: (b: ReturnType<typeof createFloatGraph>, x: string) => string,
    before?: string,
  ): Graph => {
    const b = createFloatGraph(8);
    const input = b.input('input', ['N', 3, 7, 7]);
    const x = before ? b.node(before, [input]) : input;
    const pads = b.constant('pads', [8], BigInt64Array.from([0, 0, 1, 0, 0, 0, 2, 1], BigInt));
    return b.finish(reader(b, b.node('Pad', [x, pads])));
  };

  test.each([
    ['a convolution', padded((b, x) => b.conv(x, 4, { pads: [0, 1, 0, 1] }))],
    ['an average pool', padded((b, x) => b.averagePool(x, { kernel: 3, stride: 2 }))],
    ['a max pool after ReLU', padded((b, x) => b.maxPool(x, { kernel: 3, stride: 2 }), 'Relu')],
  ])('merges into %s', async (_, graph) => {
    const after = inferShapes(foldPad(graph));
    expect(ops(after)).not.toContain('Pad');
    await expectSame(graph, after);
  });

  test.each([
    ['a max pool of negative values', padded((b, x) => b.maxPool(x, { kernel: 3, stride: 2 }))],
    ['two readers of which one cannot', padded((b, x) => b.node('Add', [b.relu(x), b.conv(x, 3)]))],
  ])('stays before %s', (_, graph) => {
    expect(foldPad(graph).nodes).toEqual(graph.nodes);
  });
});

test('removeIdentities keeps names of outputs, and a copy where one value is two outputs', async () => {
  const b = createFloatGraph(9);
  const input = b.input('input', ['N', 3]);
  const x = b.relu(input);
  const graph = b.finish(
    b.node('Identity', [b.node('Dropout', [x])]),
    b.node('Identity', [x]),
    b.node('Identity', [input]),
  );
  const after = inferShapes(removeIdentities(graph));
  expect(after.outputs.map(({ name }) => name)).toEqual(graph.outputs.map(({ name }) => name));
  expect(ops(after)).toEqual(['Relu', 'Identity', 'Identity']);
  await expectSame(graph, after);
});

test('foldConstants computes shape arithmetic and float arithmetic as ONNX Runtime does', async () => {
  const b = createFloatGraph(10);
  const x = b.input('input', [2, 3, 4, 5]);
  const index = b.constant('first', [1], BigInt64Array.of(0n));
  const batch = b.node('Gather', [b.node('Shape', [x]), index], { axis: 0 });
  const target = b.node('Concat', [batch, b.constant('rest', [1], BigInt64Array.of(-1n))], { axis: 0 });
  const scale = b.node('Sqrt', [
    b.node('Mul', [
      b.constant('a', [3, 1], Float32Array.of(1, 2, 3)),
      b.constant('b', [20], new Float32Array(20).fill(0.3)),
    ]),
  ]);
  const flatScale = b.node('Reshape', [scale, b.constant('flat', [1], BigInt64Array.of(-1n))]);
  const graph = b.finish(b.node('Mul', [b.node('Reshape', [x, target]), flatScale]));
  const after = inferShapes(removeUnused(foldConstants(graph)));
  expect(ops(after)).toEqual(['Reshape', 'Mul']);
  await expectSame(graph, after);
});
