import { describe, expect, it } from 'vitest';
import { InputError, ModelError } from '../../src/errors.ts';
import {
  dequantizeTensor,
  normalizedPixels,
  pixelTable,
  quantizeInput,
  readPreprocessing,
} from '../../src/program/input.ts';
import { type Int8Tensor, nchw, type ProgramTensor } from '../../src/program/program.ts';

const tensor: Int8Tensor = {
  id: 0,
  name: 'x',
  shape: ['N', 3, 1, 2],
  ...nchw([1, 2, 3]),
  type: 'int8',
  scale: 0.5,
  zeroPoint: -4,
};

describe('readPreprocessing', () => {
  const read = (entries: Record<string, string>) => readPreprocessing(new Map(Object.entries(entries)));

  it('reads numbers separated by commas, or a JSON array', () => {
    const expected = { mean: [0.5, 0.25, 0], std: [1, 2, 3] };
    expect(read({ mean: '0.5,0.25, 0', std: '1,2,3' })).toEqual(expected);
    expect(read({ mean: '[0.5, 0.25, 0]', std: '[1, 2, 3]' })).toEqual(expected);
  });

  it('is undefined where the metadata says nothing', () => expect(read({ labels: 'a' })).toBeUndefined());

  it.each([
    { mean: '0.5', std: '' },
    { mean: '0.5' },
    { mean: '0.5,1', std: '1' },
    { mean: '0.5', std: '0' },
    { mean: 'x', std: '1' },
    { mean: '0.5', std: 'Infinity' },
  ])('refuses %j', (entries) => expect(() => read(entries as Record<string, string>)).toThrow(ModelError));
});

describe('pixels', () => {
  const preprocessing = { mean: [0.4914, 0.4822, 0.4465], std: [0.2471, 0.2435, 0.2616] };

  it('are normalized in float64 and rounded once to float32', () => {
    const table = normalizedPixels(preprocessing, 3, 'x')[1];
    expect(table[0]).toBe(Math.fround(-0.4822 / 0.2435));
    expect(table[200]).toBe(Math.fround((200 / 255 - 0.4822) / 0.2435));
  });

  it('become what the same values become as float input', () => {
    const table = pixelTable(tensor, preprocessing);
    expect(table).toHaveLength(3 * 256);
    for (const [c, reals] of normalizedPixels(preprocessing, 3, 'x').entries()) {
      for (let p = 0; p < 256; p++) {
        const image = new Float32Array(6).fill(reals[p]);
        expect(table[c * 256 + p]).toBe(quantizeInput(tensor, image, 1)[c]);
      }
    }
  });

  it('need a mean and a deviation for each channel', () => {
    expect(() => pixelTable(tensor, { mean: [0], std: [1] })).toThrow(/3 channels, but mean has 1/);
    for (const [mean, std] of [
      [0, 0],
      [0, -1],
      [NaN, 1],
      [0, Infinity],
    ]) {
      const preprocessing = { mean: [mean, 0, 0], std: [std, 1, 1] };
      expect(() => pixelTable(tensor, preprocessing)).toThrow(/must be finite numbers, std above 0/);
    }
  });
});

describe('quantizeInput', () => {
  it('rounds ties to even, saturates, and pads with the zero point', () => {
    // [1, C, H, W] = [[0.25, 0.75], [-0.25, 1e9], [-Infinity, 65.4]], in units of 0.5.
    const data = quantizeInput(tensor, Float32Array.of(0.25, 0.75, -0.25, 1e9, -Infinity, 65.4), 1);
    expect([...data]).toEqual([-4, -4, -128, -4, -2, 127, 127, -4]);
  });

  it('divides in float32, as ONNX does', () => {
    const f = Math.fround;
    const scale = f(0.1);
    const y = (x: number) =>
      quantizeInput({ ...tensor, ...nchw([1, 1, 1]), scale, zeroPoint: 0 }, Float32Array.of(x), 1)[0];
    // Above 4.5 in float64, but 4.5 in float32: a tie, to even.
    expect(f(4.5 * scale) / scale).toBeGreaterThan(4.5);
    expect(f(f(4.5 * scale) / scale)).toBe(4.5);
    expect(y(4.5 * scale)).toBe(4);
  });

  it('refuses NaN and wrong lengths', () => {
    expect(() => quantizeInput(tensor, new Float32Array(5), 1)).toThrow(InputError);
    expect(() => quantizeInput(tensor, Float32Array.of(0, 0, 0, NaN, 0, 0), 1)).toThrow(
      /not a number at index 3/,
    );
  });
});

describe('dequantizeTensor', () => {
  it('inverts quantizeInput on its own grid, for a batch', () => {
    const reals = Float32Array.from({ length: 12 }, (_, i) => i / 2 - 3);
    expect(dequantizeTensor(tensor, quantizeInput(tensor, reals, 2), 2)).toEqual(reals);
  });

  it('takes a scale a channel', () => {
    const logits: ProgramTensor = {
      ...tensor,
      shape: ['N', 3],
      ...nchw([1, 1, 3]),
      type: 'accumulator',
      scale: Float32Array.of(1, 2, 0.5),
      zeroPoint: 0,
    };
    const buffer = Int32Array.of(1, 2, 3, 0, 1000, -1000, 1000, 0);
    expect([...dequantizeTensor(logits, buffer, 2)]).toEqual([1, 4, 1.5, 1000, -2000, 500]);
  });
});
