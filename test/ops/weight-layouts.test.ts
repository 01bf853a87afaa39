/** Each layout puts every weight where its documentation says, and zeros elsewhere. */
import { describe, expect, test } from 'vitest';
import { interleavedRows, panels } from '../../src/ops/conv2d/wasm-layouts.ts';
import { convolutionShape } from '../../src/ops/conv2d/wasm-shape.ts';
import { blocked, DEPTHWISE, packed, UNPACKED } from '../../src/ops/conv2d/webgpu-layouts.ts';
import type { WeightLayout } from '../../src/ops/conv2d/weight-layout.ts';
import { nchw, type Conv2dOperation } from '../../src/program/program.ts';
import { int8Weights, type Weights, type WeightShape } from '../../src/program/weights.ts';
import { createRandom } from '../support/random.ts';

type Index = (o: number, tap: number, c: number) => number;

function weightsOf(shape: WeightShape, zeroPoint?: Int8Array): Weights {
  const random = createRandom(11);
  return int8Weights(shape, random.int8s(shape.outChannels * shape.taps * shape.inChannels), zeroPoint);
}

function check(layout: WeightLayout, weights: Weights, indexOf: Index): void {
  const bytes = layout.pack(weights);
  expect(bytes.byteLength).toBe(layout.byteCount(weights));
  const expected = new Map<number, number>();
  const rows = weights.rows();
  let from = 0;
  for (let o = 0; o < weights.outChannels; o++) {
    for (let tap = 0; tap < weights.taps; tap++) {
      for (let c = 0; c < weights.inChannels; c++) {
        const z = layout.centred ? (weights.zeroPoint?.[o] ?? 0) : 0;
        expected.set(indexOf(o, tap, c), rows[from++] - z);
      }
    }
  }
  expect(expected.size).toBe(rows.length);
  expect(Array.from(bytes)).toEqual(Array.from(bytes, (_, i) => expected.get(i) ?? 0));
}

const SHAPES: readonly WeightShape[] = [
  { outChannels: 17, taps: 6, inChannels: 5 },
  { outChannels: 33, taps: 1, inChannels: 130 },
  { outChannels: 3, taps: 6, inChannels: 64 },
];

describe.each(SHAPES)('$outChannels × $taps × $inChannels', (shape) => {
  const { outChannels, inChannels } = shape;
  const words = Math.ceil(inChannels / 4);
  const storedOut = Math.ceil(outChannels / 4) * 4;
  const zeroPoint = Int8Array.from({ length: outChannels }, (_, o) => [-128, 127, 5][o % 3]);

  test('packed', () => {
    check(packed(8), weightsOf(shape, zeroPoint), (o, tap, c) => {
      return ((tap * words + (c >> 2)) * storedOut + o) * 4 + (c & 3);
    });
  });

  test('unpacked', () => {
    check(UNPACKED, weightsOf(shape, zeroPoint), (o, tap, c) => (tap * inChannels + c) * storedOut + o);
  });

  test.each([1, 2, 4])('blocked by %i words', (block) => {
    const kernel = shape.taps === 6 ? ([2, 3] as const) : ([1, 1] as const);
    check(blocked(kernel, block, 8), weightsOf({ ...shape, outChannels: 32 }), (o, tap, c) => {
      const [ky, kx] = [Math.floor(tap / kernel[1]), tap % kernel[1]];
      const [word, lane] = [o >> 2, o & 3];
      const row = (Math.floor(word / block) * kernel[0] + ky) * words + (c >> 2);
      return (((row * kernel[1] + kx) * block + (word % block)) * 4 + lane) * 4 + (c & 3);
    });
  });

  test('blocked, an image seen as one pixel of more channels', () => {
    check(blocked([1, 1], 2, 8), weightsOf({ ...shape, outChannels: 32 }), (o, tap, c) => {
      const k = tap * words + (c >> 2);
      const word = o >> 2;
      return (((Math.floor(word / 2) * shape.taps * words + k) * 2 + (word % 2)) * 4 + (o & 3)) * 4 + (c & 3);
    });
  });
});

describe.each([4, 2] as const)('fields of %i bits', (bits) => {
  const perByte = 8 / bits;
  const random = createRandom(12);
  const weights = int8Weights(
    { outChannels: 12, taps: 3, inChannels: 20 },
    Int8Array.from({ length: 720 }, () => random.int(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)),
  );

  test.each([
    ['packed', packed(8), packed(bits), 48],
    ['blocked', blocked([1, 3], 1, 8), blocked([1, 3], 1, bits), 48],
  ] as const)(
    '%s: consecutive rows share bytes, the first in the lowest bits',
    (_, wide, narrow, rowBytes) => {
      const expected = wide.pack(weights);
      const bytes = narrow.pack(weights);
      expect(bytes.byteLength).toBe(narrow.byteCount(weights));
      expect(bytes.byteLength).toBe(Math.ceil(expected.length / rowBytes / perByte) * rowBytes);
      const fields = Array.from(expected, (_, i) => {
        const row = Math.floor(i / rowBytes);
        const byte = bytes[Math.floor(row / perByte) * rowBytes + (i % rowBytes)];
        return (byte << (32 - bits - bits * (row % perByte))) >> (32 - bits);
      });
      expect(fields).toEqual(Array.from(expected));
    },
  );
});

test('depthwise', () => {
  const shape = { outChannels: 10, taps: 9, inChannels: 1 };
  check(DEPTHWISE, weightsOf(shape), (o, tap) => tap * 12 + o);
});

test.each([
  [2, 1],
  [2, 2],
  [4, 1],
  [4, 2],
])('depthwise, %i rows a lane, %i phases', (rows, phases) => {
  const shape = { outChannels: 10, taps: 15, inChannels: 1 };
  const zeroPoint = rows === 2 ? new Int8Array(10).fill(-9) : undefined;
  const layout = interleavedRows([5, 3], rows === 2 ? '2xint16' : '4xint8', phases);
  const groups = Math.ceil((5 + phases - 1) / rows);
  const weights = weightsOf(shape, zeroPoint);
  const packed = layout.pack(weights);
  expect(packed.byteLength).toBe(layout.byteCount(weights));
  const expected = new Map<number, number>();
  for (let phase = 0; phase < phases; phase++) {
    weights.rows().forEach((value, i) => {
      const [o, tap] = [Math.floor(i / 15), i % 15];
      const [row, column] = [Math.floor(tap / 3) + phase, tap % 3];
      const group = ((phase * 2 + (o >> 3)) * groups + Math.floor(row / rows)) * 3 + column;
      expected.set((group * 8 + (o & 7)) * rows + (row % rows), value + (zeroPoint ? 9 : 0));
    });
  }
  expect(Array.from(packed)).toEqual(Array.from(packed, (_, i) => expected.get(i) ?? 0));
});

describe('panels', () => {
  const operation = (weights: Weights, groups: number): Conv2dOperation => ({
    kind: 'conv2d',
    name: 'layer',
    inputs: [0],
    output: 1,
    kernel: [3, 3],
    stride: [1, 1],
    pads: [1, 1, 1, 1],
    dilation: [1, 1],
    groups,
    weights,
    bias: new Int32Array(weights.outChannels),
    requantize: null,
    pool: false,
    residual: null,
  });
  const input = (channels: number) =>
    ({
      id: 0,
      name: 'x',
      shape: ['N', channels, 8, 8],
      ...nchw([8, 8, channels]),
      type: 'int8',
      scale: 1,
      zeroPoint: 0,
    }) as const;

  test.each(['2xint8', '2xint16', '4xint8'] as const)('%s', (lane) => {
    const depth = lane === '4xint8' ? 4 : 2;
    const weights = weightsOf({ outChannels: 11, taps: 9, inChannels: 6 });
    const shape = convolutionShape(operation(weights, 1), input(6));
    // A segment is a row of the kernel: three pixels of 8 stored channels.
    check(panels(shape, 3, 1, lane), weights, (o, tap, c) => {
      const k = (tap % 3) * 8 + c;
      const step = ((o >> 3) * 3 + Math.floor(tap / 3)) * (24 / depth) + Math.floor(k / depth);
      return (step * 8 + (o & 7)) * depth + (k % depth);
    });
  });

  test('groups of three channels', () => {
    const weights = weightsOf({ outChannels: 12, taps: 9, inChannels: 3 });
    const shape = convolutionShape(operation(weights, 4), input(12));
    // Panel 0 reads the channels of groups 0 to 2, panel 1 those of 2 and 3; segments, one a tap, have 12.
    check(panels(shape, 3, 4, '2xint8'), weights, (o, tap, c) => {
      const k = Math.floor(o / 3) * 3 + c - shape.panelChannels[o >> 3];
      return ((((o >> 3) * 9 + tap) * 6 + (k >> 1)) * 8 + (o & 7)) * 2 + (k & 1);
    });
  });
});
