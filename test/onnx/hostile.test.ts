/** Whatever bytes a file has, decoding it gives a graph that ONNX allows, or a ModelError. */
import { TensorProto_DataType as DataType } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { decodeModel } from '../../src/onnx/decode.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { attribute, floatAttribute, floats, int64s, modelBytes, node, value } from '../support/onnx-proto.ts';
import { createRandom } from '../support/random.ts';

const half = {
  dataType: DataType.FLOAT16,
  dims: [2n, 3n, 3n, 3n],
  int32Data: new Array<number>(54).fill(0x3800),
};

/** A small model with some of everything that the decoder reads. */
const model = modelBytes(
  {
    input: [value('x', ['N', 3, 8, 8])],
    output: [value('y', ['N', 4])],
    node: [
      node('Cast', ['w16'], ['w'], [attribute('to', 1)]),
      node('Conv', ['x', 'w', 'b'], ['c'], [attribute('pads', [1, 1, 1, 1]), attribute('strides', [1, 1])], {
        name: 'conv',
      }),
      node(
        'BatchNormalization',
        ['c', 'gamma', 'beta', 'mean', 'var'],
        ['n'],
        [floatAttribute('epsilon', 1e-5)],
      ),
      node('Clip', ['n', 'lo', 'hi'], ['r']),
      node('QuantizeLinear', ['r', 's', 'z'], ['q']),
      node('DequantizeLinear', ['q', 's', 'z'], ['d']),
      node('MaxPool', ['d'], ['p'], [attribute('kernel_shape', [2, 2]), attribute('ceil_mode', 1)]),
      node('Concat', ['p', 'p'], ['j'], [attribute('axis', 1)]),
      node(
        'AveragePool',
        ['j'],
        ['a'],
        [attribute('kernel_shape', [3, 3]), attribute('auto_pad', 'SAME_UPPER')],
      ),
      node('Constant', [], ['axes'], [attribute('value', int64s('', [2, 3]))]),
      node('ReduceMean', ['a', 'axes'], ['m']),
      node('Shape', ['m'], ['shape']),
      node('Gather', ['shape', 'first'], ['batch']),
      node('Concat', ['batch', 'rest'], ['target'], [attribute('axis', 0)]),
      node('Reshape', ['m', 'target'], ['f']),
      node('DequantizeLinear', ['wq', 'ws'], ['wd'], [attribute('axis', 0)]),
      node('Gemm', ['f', 'wd'], ['g'], [attribute('transB', 1)]),
      node('Softmax', ['g'], ['y'], [attribute('axis', -1)]),
    ],
    initializer: [
      { name: 'w16', ...half },
      floats('b', [2], [0.5, -0.5]),
      ...['gamma', 'beta', 'mean', 'var'].map((name) => floats(name, [2], [1, 2])),
      floats('lo', [], [0]),
      floats('hi', [], [6]),
      floats('s', [], [0.1]),
      { name: 'z', dataType: DataType.INT8, dims: [], int32Data: [-3] },
      int64s('first', [0]),
      int64s('rest', [-1]),
      { name: 'wq', dataType: DataType.INT8, dims: [4n, 4n], rawData: new Uint8Array(16).fill(7) },
      floats('ws', [4], [0.1, 0.2, 0.3, 0.4]),
    ],
    valueInfo: [value('c', ['N', 2, 8, 8])],
  },
  18,
  { metadataProps: [{ key: 'labels', value: 'a,b,c,d' }] },
);

/** Decodes, and with `whole` takes what was accepted through passes and the encoder. Returns whether it was accepted. */
function survives(bytes: Uint8Array, whole = false): boolean {
  const start = performance.now();
  try {
    const graph = decodeModel(bytes);
    if (whole) decodeModel(encodeModel(optimize(graph)));
    return true;
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    expect(error.message).not.toBe('');
    return false;
  } finally {
    // Not a benchmark: a hang is minutes.
    expect(performance.now() - start).toBeLessThan(10_000);
  }
}

test('the model itself is accepted', () => {
  expect(survives(model, true)).toBe(true);
});

describe('a flipped byte', () => {
  test('in each tenth of the file, 200 times', () => {
    const random = createRandom(200);
    let accepted = 0;
    for (let run = 0; run < 200; run++) {
      const tenth = run % 10;
      const at = Math.floor(((tenth + random.next()) / 10) * model.length);
      const bytes = model.slice();
      bytes[at] = bytes[at] ^ random.int(1, 255);
      if (survives(bytes, true)) accepted++;
    }
    expect(accepted).toBeGreaterThan(20);
    expect(accepted).toBeLessThan(180);
  });

  test('one bit at every place', () => {
    const random = createRandom(1);
    for (let at = 0; at < model.length; at++) {
      const bytes = model.slice();
      bytes[at] = bytes[at] ^ (1 << random.int(0, 7));
      survives(bytes);
    }
  });
});

test('a truncation at every place is an error, but for lost metadata at the end', () => {
  const accepted: number[] = [];
  for (let length = 0; length < model.length; length++) {
    if (survives(model.subarray(0, length))) accepted.push(length);
  }
  expect(accepted.length).toBeLessThanOrEqual(1);
});

test('noise', () => {
  const random = createRandom(9);
  for (let run = 0; run < 300; run++) {
    const noise = Uint8Array.from({ length: random.int(1, 300) }, () => random.int(0, 255));
    expect(survives(noise)).toBe(false);
    // A valid beginning and end, noise between.
    const at = random.int(0, model.length - 8);
    const bytes = model.slice();
    bytes.set(noise.subarray(0, 8), at);
    survives(bytes);
  }
});
