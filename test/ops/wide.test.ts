/** Activations of 16 bits: their bytes as two int8 tensors, and what the sums of the two come to. */
import { expect, test } from 'vitest';
import { dequantizeReference } from '../../src/ops/dequantize/reference.ts';
import { quantizeReference } from '../../src/ops/quantize/reference.ts';
import type { ProgramTensor, TensorBuffer, WideByte } from '../../src/program/program.ts';
import { createProgramBuilder } from '../support/program-builder.ts';

/** All there are, as many channels of one pixel. */
const COUNT = 65_536;

test.each([
  ['int16', -32_768],
  ['uint16', 0],
] as const)('every %s is 256 · high + low + 128, from the least on', (dtype, least) => {
  const builder = createProgramBuilder();
  const wide = { ...builder.tensor([1, 1, COUNT], 0, 'int32', 1), dtype } as ProgramTensor;
  const bytes = builder.tensor([1, 1, COUNT], 0);
  const x = Int32Array.from({ length: COUNT }, (_, i) => least + i);
  const byteOf = (byte: WideByte) => {
    const y = new Int8Array(COUNT);
    const buffers: TensorBuffer[] = [x, y];
    quantizeReference(
      { kind: 'quantize', name: 'q', inputs: [wide.id], output: bytes.id, byte, reason: null },
      { batch: 1, tensor: (id) => (id === wide.id ? wide : bytes), buffer: (id) => buffers[id] },
    );
    return y;
  };
  const [high, low] = [byteOf('high'), byteOf('low')];
  const joined = Int32Array.from(high, (q, i) => 256 * q + low[i] + 128 + (dtype === 'uint16' ? 32_768 : 0));
  expect(joined).toEqual(x);
});

test('sums of both bytes are joined exactly, then scaled and rounded once', () => {
  const builder = createProgramBuilder();
  const scale = Math.fround(0.0123);
  const sums = [0, 1].map(() => builder.tensor([1, 1, 6], 0, 'accumulator', scale));
  const reals = builder.tensor([1, 1, 6], 0, 'float32', 1);
  const low = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 123_456_789];
  const high = [0, -1, 1, 2 ** 31 - 1, -(2 ** 31), -987_654_321];
  const y = new Float32Array(6);
  const buffers: TensorBuffer[] = [
    // Two padded lanes.
    Int32Array.from([...low, 0, 0]),
    Int32Array.from([...high, 0, 0]),
    y,
  ];
  const tensors = [...sums, reals];
  dequantizeReference(
    { kind: 'dequantize', name: 'd', inputs: [0, 1], output: 2, table: null },
    { batch: 1, tensor: (id) => tensors[id], buffer: (id) => buffers[id] },
  );
  // The sum has 40 bits, the scale 24: their product is rounded to float64, then to float32.
  expect(y).toEqual(Float32Array.from(low, (sum, i) => scale * Number(BigInt(sum) + 256n * BigInt(high[i]))));
});
