/** Larger images by interpolation and transposed convolution: each graph agrees with ONNX Runtime on the reference and wasm. */
import { describe, expect, it } from 'vitest';
import type { Attribute } from '../../src/graph/graph.ts';
import { differential, floatDifferential } from '../support/differential.ts';
import { createFloatGraph, randomInputs } from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(9);
const BATCH = 3;

async function expectAgreement(build: (b: QdqGraphBuilder) => void): Promise<void> {
  const b = createQdqGraph();
  build(b);
  const graph = b.build();
  const verdict = await differential(graph, randomInputs(graph, BATCH, 5), BATCH);
  expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
}

const RULES = ['half_pixel', 'pytorch_half_pixel', 'asymmetric', 'align_corners'];
const SCALES = [
  [2, 2],
  [1.5, 3],
  [0.5, 0.75],
  [1, 2.5],
];

describe.each(['linear', 'cubic'])('an image resized by mode %s', (mode) => {
  it.each(RULES)('by the rule %s, of many scales', (coordinate_transformation_mode) =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 5, 8, 12]), 0.02, -30);
      for (const [i, factors] of SCALES.entries()) {
        const scales = b.constant(`scales ${i}`, [4], Float32Array.of(1, 1, ...factors));
        const y = b.node('Resize', [x, '', scales], { coordinate_transformation_mode, mode });
        b.output(b.qdq(y, i % 2 ? 0.02 : 0.025, i % 2 ? -30 : 40), ['N', 5, 8 * factors[0], 12 * factors[1]]);
      }
    }),
  );

  it('of given sizes, with extreme zero points and a clamp behind it', () =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 3, 5, 7]), 0.02, 127);
      const sizes = b.constant('sizes', [2], BigInt64Array.of(11n, 4n));
      const y = b.node('Relu', [b.node('Resize', [x, '', '', sizes], { mode, axes: [2, 3] })]);
      b.output(b.qdq(y, 0.015, -128), ['N', 3, 11, 4]);
    }));
});

const TRANSPOSED: readonly {
  readonly weights: readonly [number, number, number, number];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly bias?: boolean;
}[] = [
  { weights: [6, 4, 2, 2], attributes: { strides: [2, 2] }, bias: true },
  { weights: [6, 3, 4, 4], attributes: { strides: [2, 2], pads: [1, 1, 1, 1] }, bias: true },
  { weights: [6, 5, 3, 3], attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] } },
  { weights: [6, 4, 3, 3], bias: true },
  { weights: [6, 2, 3, 2], attributes: { strides: [3, 3], pads: [0, 1, 2, 0], group: 2 }, bias: true },
  { weights: [6, 1, 4, 4], attributes: { strides: [2, 2], pads: [1, 1, 1, 1], group: 6 } },
  { weights: [6, 4, 3, 3], attributes: { strides: [2, 2], dilations: [2, 3], pads: [1, 2, 0, 3] } },
  { weights: [6, 4, 3, 3], attributes: { strides: [2, 2], auto_pad: 'SAME_UPPER' } },
];

describe('a transposed convolution', () => {
  it.each(TRANSPOSED)('by $weights with $attributes', ({ weights, attributes = {}, bias }) =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 6, 4, 5]), 0.02, 3);
      const outChannels = weights[1] * Number(attributes.group ?? 1);
      const isPerChannel = attributes.group === undefined;
      const scales = isPerChannel ? Array.from({ length: outChannels }, (_, o) => 0.005 + 0.001 * o) : 0.01;
      const w = b.dq(weights, random.int8s(weights.reduce((a, c) => a * c)), scales, { axis: 1 });
      const inputs = [x, w];
      if (bias) {
        const units = typeof scales === 'number' ? scales * 0.02 : scales.map((s) => s * 0.02);
        inputs.push(
          b.dq(
            [outChannels],
            Int32Array.from({ length: outChannels }, () => random.int(-900, 900)),
            units,
          ),
        );
      }
      const y = b.node('Relu', [b.node('ConvTranspose', inputs, attributes)]);
      b.output(b.qdq(y, 0.05, -100), ['N', outChannels, 'h', 'w']);
    }),
  );

  it.each(TRANSPOSED)(
    'by $weights with $attributes is quantized from float',
    async ({ weights, attributes = {} }) => {
      const b = createFloatGraph(3);
      const x = b.relu(b.conv(b.input('x', ['N', 3, 6, 7]), 6));
      const w = b.normal('w', weights, 0.3);
      const y = b.node('ConvTranspose', [x, w], attributes);
      const verdict = await floatDifferential(b.finish(b.conv(b.relu(y), 4)), 3);
      expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
    },
  );
});
