/** Graphs of which a part stays in real numbers: computed on the host between integers. */
import { describe, expect, it } from 'vitest';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { quantizeInput, readOutput } from '../../src/program/input.ts';
import { lower } from '../../src/program/lower.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(5);

describe.each<
  [name: string, build: (b: QdqGraphBuilder, x: string) => string, dims: number[], kinds: string[]]
>([
  [
    'a tail of Reshape, Transpose, Softmax over a middle axis and Mul',
    (b, x) => {
      const boxes = b.node('Reshape', [
        conv(b, x),
        b.constant('boxes', [4], BigInt64Array.of(0n, 2n, 4n, -1n)),
      ]);
      const moved = b.node('Transpose', [boxes], { perm: [0, 3, 2, 1] });
      const softmax = b.node('Softmax', [moved], { axis: 2 });
      return b.node('Mul', [softmax, b.constant('weights', [4, 1], Float32Array.of(0, 1, 2, 3))]);
    },
    [9, 4, 2],
    ['conv2d', 'dequantize', 'host', 'host', 'host'],
  ],
  [
    'a stage between integers',
    (b, x) => {
      const y = b.qdq(conv(b, x), 0.05, 3);
      const softmax = b.node('Softmax', [y], { axis: 1 });
      const doubled = b.node('Mul', [softmax, b.constant('weights', [8, 1, 1], new Float32Array(8).fill(2))]);
      return b.node('MaxPool', [b.qdq(doubled, 0.01, -128)], { kernel_shape: [2, 2] });
    },
    [8, 2, 2],
    ['conv2d', 'dequantize', 'host', 'host', 'quantize', 'maxPool2d'],
  ],
  [
    'a layer that is read both raw and quantized, which stays in integers',
    (b, x) => {
      const y = conv(b, x);
      const gate = b.node('Sigmoid', [b.qdq(y, 0.05, 3)]);
      return b.node('Mul', [b.qdq(gate, 1 / 256, -128), b.node('Softmax', [y], { axis: 1 })]);
    },
    [8, 3, 3],
    ['conv2d', 'dequantize', 'quantize', 'lookup', 'host', 'dequantize', 'host'],
  ],
  ...(['nearest', 'linear'] as const).map(
    (mode): [string, (b: QdqGraphBuilder, x: string) => string, number[], string[]] => [
      `maps made larger, ${mode}, by scales and to sizes`,
      (b, x) => {
        const attributes = { mode, coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
        const scales = b.constant('scales', [4], Float32Array.of(1, 1, 2, 2));
        const larger = b.node('Resize', [conv(b, x), '', scales], attributes);
        const sizes = b.constant('sizes', [2], BigInt64Array.of(9n, 7n));
        return b.node('Resize', [larger, '', '', sizes], { ...attributes, axes: [2, 3] });
      },
      [8, 9, 7],
      ['conv2d', 'dequantize', 'host', 'host'],
    ],
  ),
  [
    'a clamp behind the last layer, which stays in integers',
    (b, x) => b.node('Relu', [conv(b, x)]),
    [8, 3, 3],
    ['conv2d', 'dequantize', 'host'],
  ],
])('%s', (_, build, dims, kinds) => {
  const b = createQdqGraph();
  const x = b.qdq(b.input('x', ['N', 3, 3, 3]), 0.02, 0);
  b.output(build(b, x), ['N', ...dims]);
  const graph = inferShapes(b.build());
  const program = lower(graph, builtinOperators);

  it('is computed on the host, and agrees with ONNX Runtime', async () => {
    expect(program.operations.map(({ kind }) => kind)).toEqual(kinds);
    const batch = 2;
    const values = Float32Array.from({ length: batch * 27 }, () => (random.next() - 0.5) * 4);
    const [output] = program.outputs;
    const tensor = program.tensors[output.tensor];
    using session = createReferenceSession(program);
    const input = program.inputs[0].tensor;
    const data = quantizeInput(program.tensors[input] as Parameters<typeof quantizeInput>[0], values, batch);
    const { tensors } = await session.run(new Map([[input, { kind: 'quantized', data }]]), { batch });
    const actual = readOutput(output, tensor, tensors.get(tensor.id)!, batch).data;
    const expected = (await runOrt(graph, new Map([['x', values]]), batch)).get(output.name)!;
    expect(expected.shape).toEqual([batch, ...output.shape]);
    expect(relativeDifference(actual, expected.data as Float32Array)).toBeLessThan(
      kinds.includes('quantize') ? 0.01 : 2e-6,
    );
  });

  it('is refused where the host is not wanted', () => {
    expect(() => lower(graph, builtinOperators, { host: false })).toThrow();
  });
});

function conv(b: QdqGraphBuilder, x: string): string {
  const weights = Int8Array.from({ length: 8 * 3 * 9 }, () => Math.floor(random.next() * 255) - 127);
  return b.node('Conv', [x, b.dq([8, 3, 3, 3], weights, 0.01)], { pads: [1, 1, 1, 1] });
}
