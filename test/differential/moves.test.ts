/** Elements in other places: each graph agrees with ONNX Runtime on the reference and wasm. */
import { describe, expect, it } from 'vitest';
import { differential } from '../support/differential.ts';
import { randomInputs } from '../support/onnx-models.ts';
import { createQdqGraph, type QdqGraphBuilder } from '../support/qdq-graph.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(5);
const BATCH = 3;

async function expectAgreement(build: (b: QdqGraphBuilder) => void, batch = BATCH): Promise<void> {
  const b = createQdqGraph();
  build(b);
  const graph = b.build();
  const verdict = await differential(graph, randomInputs(graph, batch, 5), batch);
  expect(verdict, JSON.stringify(verdict)).toMatchObject({ kind: 'agrees' });
}

const list = (b: QdqGraphBuilder, ...values: readonly number[]) =>
  b.constant(`list ${values.join()}`, [values.length], BigInt64Array.from(values, BigInt));
const image = (b: QdqGraphBuilder, name = 'x') => b.qdq(b.input(name, ['N', 6, 4, 5]), 0.02, 3);
const convolved = (b: QdqGraphBuilder, x: string, from: number) =>
  b.qdq(
    b.node('Conv', [x, b.dq([5, from, 3, 3], random.int8s(5 * from * 9), 0.01)], { pads: [1, 1, 1, 1] }),
    0.1,
    -7,
  );

describe('a transposition', () => {
  it.each([
    [0, 1, 3, 2],
    [0, 2, 1, 3],
    [0, 2, 3, 1],
    [0, 3, 1, 2],
    [0, 3, 2, 1],
  ])('by [%i, %i, %i, %i] comes before a convolution', (...perm) =>
    expectAgreement((b) => {
      const shape = [3, 6, 4, 5];
      const y = b.qdq(b.node('Transpose', [image(b)], { perm }), 0.02, 3);
      b.output(convolved(b, y, shape[perm[1]]), ['N', 5, shape[perm[2]], shape[perm[3]]]);
    }),
  );

  it('to channels last and flattening come before a dense layer', () =>
    expectAgreement((b) => {
      const y = b.node('Flatten', [b.node('Transpose', [image(b)], { perm: [0, 2, 3, 1] })]);
      const w = b.dq([120, 4], random.int8s(480), 0.01);
      b.output(b.qdq(b.node('MatMul', [b.qdq(y, 0.03, 0), w]), 0.2, 0), ['N', 4]);
    }));

  it('shuffles channels between two reshapes', () =>
    expectAgreement((b) => {
      const grouped = b.node('Reshape', [image(b), list(b, 0, 2, 3, 4, 5)]);
      const y = b.node('Transpose', [grouped], { perm: [0, 2, 1, 3, 4] });
      b.output(convolved(b, b.qdq(b.node('Reshape', [y, list(b, 0, 6, 4, 5)]), 0.02, 3), 6), ['N', 5, 4, 5]);
    }));
});

describe('a reshape that regroups axes', () => {
  it('comes before a convolution', () =>
    expectAgreement((b) => {
      const y = b.node('Reshape', [image(b), list(b, 0, 5, 8, 3)]);
      b.output(convolved(b, b.qdq(y, 0.02, 3), 5), ['N', 5, 8, 3]);
    }));

  it('comes before a concatenation of flattened images', () =>
    expectAgreement((b) => {
      const flat = b.node('Flatten', [image(b)]);
      b.output(b.qdq(b.node('Concat', [flat, flat], { axis: 1 }), 0.02, -3), ['N', 240]);
    }));
});

describe('a selection', () => {
  const slice = (b: QdqGraphBuilder, x: string, from: number, to: number, axis: number, step = 1) =>
    b.node('Slice', [x, list(b, from), list(b, to), list(b, axis), list(b, step)]);

  it.each([
    ['rows', 2, 1, 3, 1, [6, 2, 5]],
    ['columns backwards', 3, 9, -9, -2, [6, 4, 3]],
    ['channels', 1, 1, 6, 2, [3, 4, 5]],
  ] as const)('of %s', (_, axis, from, to, step, shape) =>
    expectAgreement((b) => {
      b.output(b.qdq(slice(b, image(b), from, to, axis, step), 0.03, -3), ['N', ...shape]);
    }),
  );

  it('of rows by a list, and of one channel by its index', () =>
    expectAgreement((b) => {
      const rows = b.qdq(b.node('Gather', [image(b), list(b, 3, 0, 0, -1)], { axis: 2 }), 0.02, 3);
      const one = b.constant('one', [], BigInt64Array.of(2n));
      b.output(b.qdq(b.node('Gather', [rows, one], { axis: 1 }), 0.02, 3), ['N', 4, 5]);
    }));

  it('of a part of a flattened image', () =>
    expectAgreement((b) => {
      b.output(b.qdq(slice(b, b.node('Flatten', [image(b)]), 7, 90, 1, 3), 0.02, 3), ['N', 28]);
    }));
});

describe('a concatenation', () => {
  it.each([
    [1, [12, 4, 5]],
    [2, [6, 8, 5]],
    [3, [6, 4, 10]],
  ] as const)('along axis %i', (axis, shape) =>
    expectAgreement((b) => {
      const other = b.qdq(b.node('Relu', [image(b, 'other')]), 0.01, -20);
      b.output(b.qdq(b.node('Concat', [image(b), other], { axis }), 0.02, 3), ['N', ...shape]);
    }),
  );
});

describe('a sum or difference', () => {
  it('of an image and a pixel of each channel', () =>
    expectAgreement((b) => {
      const pixel = b.qdq(b.node('GlobalMaxPool', [image(b)]), 0.02, 3);
      b.output(b.qdq(b.node('Add', [image(b, 'other'), pixel]), 0.04, -3), ['N', 6, 4, 5]);
    }));

  it.each([0, 1])('of two images, or a pixel and an image (order %i)', (order) =>
    expectAgreement((b) => {
      const [x, other] = [image(b), image(b, 'other')];
      const pixel = b.qdq(b.node('GlobalMaxPool', [x]), 0.02, 3);
      b.output(b.qdq(b.node('Sub', order ? [pixel, other] : [other, pixel]), 0.04, -3), ['N', 6, 4, 5]);
      b.output(b.qdq(b.node('Sub', order ? [x, other] : [other, x]), 0.04, 5), ['N', 6, 4, 5]);
    }),
  );

  it('of a convolution and another image', () =>
    expectAgreement((b) => {
      const y = convolved(b, image(b), 6);
      b.output(b.qdq(b.node('Sub', [y, convolved(b, image(b, 'other'), 6)]), 0.1, -3), ['N', 5, 4, 5]);
    }));
});

describe('a larger image', () => {
  it.each(['DCR', 'CRD'])('of blocks of channels, %s', (mode) =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 8, 3, 5]), 0.02, 3);
      const y = b.node('DepthToSpace', [x], { blocksize: 2, mode });
      b.output(b.qdq(y, 0.03, -3), ['N', 2, 6, 10]);
    }),
  );

  it.each([
    ['half_pixel', 'round_prefer_floor'],
    ['half_pixel', 'round_prefer_ceil'],
    ['asymmetric', 'floor'],
  ])('of repeated pixels, %s and %s', (coordinate_transformation_mode, nearest_mode) =>
    expectAgreement((b) => {
      const scales = b.constant('scales', [4], Float32Array.of(1, 1, 2, 3));
      const y = b.node('Resize', [image(b), '', scales], { coordinate_transformation_mode, nearest_mode });
      b.output(b.qdq(y, 0.02, 3), ['N', 6, 8, 15]);
    }),
  );
});

describe('a padding', () => {
  it.each(['constant', 'reflect', 'edge', 'wrap'])('by mode %s, some of it cut off', (mode) =>
    expectAgreement((b) => {
      b.output(b.qdq(b.node('Pad', [image(b), list(b, 0, 0, 2, -1, 0, 3, 1, 3)], { mode }), 0.02, 3), [
        'N',
        9,
        7,
        8,
      ]);
    }),
  );

  it.each([-1.7, 0.5])('with %d, which is quantized with the rest', (value) =>
    expectAgreement((b) => {
      const y = b.node('Pad', [
        image(b),
        list(b, 0, 0, 1, 1, 0, 0, 1, 0),
        b.constant('value', [], Float32Array.of(value)),
      ]);
      b.output(b.qdq(y, 0.03, 40), ['N', 6, 6, 6]);
    }),
  );

  it('of the axes that it names', () =>
    expectAgreement((b) => {
      b.output(b.qdq(b.node('Pad', [image(b), list(b, 1, 2), '', list(b, -1)]), 0.02, 3), ['N', 6, 4, 8]);
    }));
});

describe('a repetition', () => {
  it('of the whole, by Tile', () =>
    expectAgreement((b) => {
      b.output(b.qdq(b.node('Tile', [image(b), list(b, 1, 2, 1, 3)]), 0.02, 3), ['N', 12, 4, 15]);
    }));

  it('of a row, by Expand', () =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 5, 1, 7]), 0.02, 3);
      b.output(b.qdq(b.node('Expand', [x, list(b, 1, 1, 3, 1)]), 0.02, 3), ['N', 5, 3, 7]);
    }));
});

it('blocks of pixels become channels', () =>
  expectAgreement((b) => {
    const x = b.qdq(b.input('x', ['N', 3, 4, 6]), 0.02, 3);
    b.output(b.qdq(b.node('SpaceToDepth', [x], { blocksize: 2 }), 0.03, 3), ['N', 12, 2, 3]);
  }));

describe('a concatenation of tensors that are no images', () => {
  it.each([
    [1, [6, 5], [2, 5], [8, 5]],
    [2, [6, 5], [6, 1], [6, 6]],
    [2, [3, 4, 5, 2], [3, 1, 5, 2], [3, 5, 5, 2]],
    [3, [3, 4, 5, 2], [3, 4, 2, 2], [3, 4, 7, 2]],
    [4, [3, 4, 5, 2], [3, 4, 5, 3], [3, 4, 5, 5]],
  ] as const)('along axis %i of [N, %j] and [N, %j]', (axis, a, c, shape) =>
    expectAgreement((b) => {
      const inputs = [a, c].map((each, i) => b.qdq(b.input(`x${i}`, ['N', ...each]), 0.02 + 0.01 * i, 3));
      b.output(b.qdq(b.node('Concat', inputs, { axis }), 0.03, 3), ['N', ...shape]);
    }),
  );

  it.each([1, 2])('with a constant, along axis %i', (axis) =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 6, 5]), 0.02, 3);
      const [shape, joined] =
        axis === 1
          ? [
              [1, 1, 5],
              [8, 5],
            ]
          : [
              [1, 6, 1],
              [6, 7],
            ];
      const token = b.dq(shape, random.int8s(axis === 1 ? 5 : 6), 0.01);
      b.output(b.qdq(b.node('Concat', [token, x, token], { axis }), 0.03, 3), ['N', ...joined]);
    }, 1),
  );
});

describe('the nearest elements', () => {
  const rules = ['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'asymmetric', 'align_corners'];
  const roundings = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'];
  // Ratios that put coordinates on ties, and between.
  const scales = [
    [1.5, 2],
    [0.6, 1.4],
    [2.5, 0.5],
    [3, 1 / 3],
    [7 / 4, 0.75],
  ];
  it.each(rules)('by %s, however they are rounded, of many scales', (coordinate_transformation_mode) =>
    expectAgreement((b) => {
      const x = b.qdq(b.input('x', ['N', 3, 8, 12]), 0.02, 3);
      for (const nearest_mode of roundings) {
        for (const [i, factors] of scales.entries()) {
          const isWhole = Number.isInteger(8 * factors[0]) && Number.isInteger(12 * factors[1]);
          if (coordinate_transformation_mode === 'align_corners' && !isWhole) continue;
          const list = b.constant(`scales ${nearest_mode} ${i}`, [4], Float32Array.of(1, 1, ...factors));
          const y = b.node('Resize', [x, '', list], { coordinate_transformation_mode, nearest_mode });
          b.output(b.qdq(y, 0.02, 3), [
            'N',
            3,
            ...[8, 12].map((size, axis) => Math.floor(size * Math.fround(factors[axis]))),
          ]);
        }
      }
    }),
  );

  it('of given sizes, along named axes', () =>
    expectAgreement((b) => {
      const y = b.node('Resize', [image(b), '', '', list(b, 9, 3)], { axes: [-1, 2] });
      b.output(b.qdq(y, 0.02, 3), ['N', 6, 3, 9]);
    }));
});
