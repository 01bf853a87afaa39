import { describe, expect, test } from 'vitest';
import { indexGraph } from '../../src/graph/graph-index.ts';
import type { Attribute } from '../../src/graph/graph.ts';
import { followClamps, unaryFunction, unaryRegion } from '../../src/graph/patterns.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { runOrt } from '../support/ort.ts';

const points = Float32Array.from({ length: 401 }, (_, i) => (i - 200) / 20);

describe('element-wise functions are those of ONNX Runtime', () => {
  test.each<[string, Record<string, Attribute>]>([
    ...[
      'Abs',
      'Erf',
      'Exp',
      'HardSwish',
      'Identity',
      'Mish',
      'Neg',
      'Relu',
      'Sigmoid',
      'Softplus',
      'Softsign',
      'Tanh',
    ].map((op): [string, Record<string, Attribute>] => [op, {}]),
    ...['Celu', 'Elu', 'HardSigmoid', 'LeakyRelu', 'Selu', 'ThresholdedRelu'].flatMap(
      (op): [string, Record<string, Attribute>][] => [
        [op, {}],
        [op, { alpha: 0.75 }],
      ],
    ),
    ['Gelu', {}],
    ['Gelu', { approximate: 'tanh' }],
    ['Selu', { gamma: 2 }],
    ['HardSigmoid', { beta: 0.25 }],
  ])('%s %j', async (op, attributes) => {
    const b = createFloatGraph(1, 20);
    const y = b.node(op, [b.input('x', ['N'])], attributes);
    const graph = b.finish(y);
    const of = unaryFunction(graph, graph.nodes[0])!;
    const results = (await runOrt(graph, new Map([['x', points]]), points.length)).get(y)!
      .data as Float32Array;
    for (const [i, x] of points.entries()) {
      expect(Math.abs(of(x) - results[i]), `${op}(${x}) = ${of(x)}, not ${results[i]}`).toBeLessThan(
        2e-6 * Math.max(1, Math.abs(of(x))),
      );
    }
  });

  test.each(['Log', 'Reciprocal', 'Sqrt'])('%s of positive numbers', async (op) => {
    const b = createFloatGraph(1);
    const graph = b.finish(b.node(op, [b.input('x', ['N'])]));
    const positive = points.filter((x) => x > 0);
    const results = (await runOrt(graph, new Map([['x', positive]]), positive.length)).get(
      graph.outputs[0].name,
    )!;
    const of = unaryFunction(graph, graph.nodes[0])!;
    expect(Float32Array.from(positive, of)).toEqual(
      Float32Array.from(results.data as Float32Array, (y, i) =>
        Math.abs(y - of(positive[i])) < 1e-5 ? Math.fround(of(positive[i])) : y,
      ),
    );
  });
});

describe('followClamps', () => {
  test('joins Relu and Clip, through Identity and Dropout', () => {
    const b = createFloatGraph(1);
    const x = b.conv(b.input('input', ['N', 2, 4, 4]), 2);
    const y = b.clip(b.node('Dropout', [b.node('Identity', [b.relu(x)])]), -1, 6);
    const index = indexGraph(b.finish(b.maxPool(y)));
    const chain = followClamps(index, x);
    expect(chain).toMatchObject({ output: y, lo: 0, hi: 6 });
    expect(chain.nodes.map(({ op }) => op)).toEqual(['Relu', 'Identity', 'Dropout', 'Clip']);
  });

  test('narrows to one value where clamps do not overlap', () => {
    const b = createFloatGraph(1);
    const x = b.conv(b.input('input', ['N', 2, 4, 4]), 2);
    const y = b.clip(b.clip(x, 2, 3), -1, 1);
    expect(followClamps(indexGraph(b.finish(y)), x)).toMatchObject({ output: y, lo: 1, hi: 1 });
  });

  test('ends where something else reads the value, at outputs of the graph, and at computed bounds', () => {
    const b = createFloatGraph(1);
    const x = b.conv(b.input('input', ['N', 2, 4, 4]), 2);
    const first = b.relu(x);
    const second = b.relu(first);
    const computed = b.node('Clip', [second, b.input('lo', [])]);
    const graph = b.finish(first, computed);
    expect(followClamps(indexGraph(graph), x)).toMatchObject({ output: first, nodes: [{ op: 'Relu' }] });
    expect(followClamps(indexGraph(graph), first)).toMatchObject({ output: first, nodes: [] });
    expect(followClamps(indexGraph(graph), second)).toMatchObject({ output: second, nodes: [] });
    const two = b.finish(b.node('Add', [x, first]));
    expect(followClamps(indexGraph(two), x).nodes).toEqual([]);
  });
});

describe('unaryRegion', () => {
  const scalar = (b: ReturnType<typeof createFloatGraph>, name: string, value: number) =>
    b.constant(name, [], Float32Array.of(value));

  test('finds SiLU, hard swish and GELU written out', () => {
    const b = createFloatGraph(1);
    const x = b.conv(b.input('input', ['N', 2, 4, 4]), 2);
    const silu = b.node('Mul', [b.node('Sigmoid', [x]), x]);
    const plus = b.node('Add', [silu, scalar(b, 'three', 3)]);
    const swish = b.node('Div', [b.node('Mul', [silu, b.clip(plus, 0, 6)]), scalar(b, 'six', 6)]);
    const z = b.conv(swish, 2);
    const erf = b.node('Erf', [b.node('Div', [z, scalar(b, 'root', Math.SQRT2)])]);
    const gelu = b.node('Mul', [
      b.node('Mul', [z, b.node('Add', [erf, scalar(b, 'one', 1)])]),
      scalar(b, 'half', 0.5),
    ]);
    const index = indexGraph(b.finish(gelu));

    const one = unaryRegion(index, index.producer(silu)!)!;
    expect(one).toMatchObject({ input: x, output: silu });
    expect(one.apply(1.5)).toBeCloseTo(1.5 / (1 + Math.exp(-1.5)), 12);
    const both = unaryRegion(index, index.producer(swish)!)!;
    expect(both.input).toBe(x);
    expect(both.nodes).toHaveLength(6);
    const s = 1.5 / (1 + Math.exp(-1.5));
    expect(both.apply(1.5)).toBeCloseTo((s * (s + 3)) / 6, 12);
    const last = unaryRegion(index, index.producer(gelu)!)!;
    expect(last.input).toBe(z);
    expect(last.apply(1)).toBeCloseTo(0.8413447460685429, 7);
  });

  test('stops at values read outside, at outputs, and where two values meet', () => {
    const b = createFloatGraph(1);
    const input = b.input('input', ['N', 2, 4, 4]);
    const a = b.node('Sigmoid', [input]);
    const c = b.node('Tanh', [a]);
    const other = b.conv(input, 2);
    const product = b.node('Mul', [c, other]);
    const after = b.node('Abs', [product]);
    const index = indexGraph(b.finish(b.node('Concat', [a, after], { axis: 1 }), c));
    expect(unaryRegion(index, index.producer(c)!)).toMatchObject({ input: a, nodes: [{ op: 'Tanh' }] });
    expect(unaryRegion(index, index.producer(product)!)).toBeUndefined();
    expect(unaryRegion(index, index.producer(after)!)).toMatchObject({ input: product });
    expect(unaryRegion(index, index.producer(other)!)).toBeUndefined();
  });

  test('does not take in a value that is an output of the graph', () => {
    const b = createFloatGraph(1);
    const inner = b.node('Sigmoid', [b.input('input', ['N', 2, 4, 4])]);
    const outer = b.node('Tanh', [inner]);
    const index = indexGraph(b.finish(outer, inner));
    expect(unaryRegion(index, index.producer(outer)!)).toMatchObject({
      input: inner,
      nodes: [{ op: 'Tanh' }],
    });
  });

  test('does not take constants of several elements, or a node with itself for two values', () => {
    const b = createFloatGraph(1);
    const input = b.input('input', ['N', 2, 4, 4]);
    const square = b.node('Mul', [input, input]);
    const perChannel = b.node('Mul', [square, b.normal('scale', [2, 1, 1])]);
    const index = indexGraph(b.finish(perChannel));
    expect(unaryRegion(index, index.producer(perChannel)!)).toBeUndefined();
    expect(unaryRegion(index, index.producer(square)!)!.apply(-3)).toBe(9);
  });
});
