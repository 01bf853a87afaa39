/**
 * Small files that ask for much: each is refused, or loaded, within what its bytes are worth. The limits of time are
 * generous, for slow machines; what grew with the square of the file took minutes.
 */
import { TensorProto_DataType as DataType } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { InputError, ModelError, OctetError } from '../../src/errors.ts';
import { loadFixedModel } from '../../src/model/load.ts';
import type { LoadOptions } from '../../src/model/model.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { paddedChannels } from '../../src/program/program.ts';
import type { Weights } from '../../src/program/weights.ts';
import {
  attribute,
  floats,
  type GraphInit,
  modelBytes,
  node,
  type NodeInit,
  type TensorInit,
  value,
} from '../support/onnx-proto.ts';

const SECONDS = 20_000;

const parameters = [
  floats('s', [], [0.1]),
  { name: 'z', dataType: DataType.INT8, dims: [], int32Data: [0] },
] satisfies TensorInit[];

/** QuantizeLinear and DequantizeLinear from `from` to `to`. */
function pair(from: string, to: string): NodeInit[] {
  return [
    node('QuantizeLinear', [from, 's', 'z'], [`${from}.q`]),
    node('DequantizeLinear', [`${from}.q`, 's', 'z'], [to]),
  ];
}

/** A quantized network of `nodes` from x0 to y, whose input is `x`. */
function quantized(
  shape: (number | string)[],
  nodes: NodeInit[],
  initializer: TensorInit[] = [],
  rest: Partial<GraphInit> = {},
): Uint8Array {
  return modelBytes({
    input: [value('x', shape)],
    output: [value('y', [])],
    node: [...pair('x', 'x0'), ...nodes],
    initializer: [...parameters, ...initializer],
    ...rest,
  });
}

function int8Weights(name: string, dims: number[]): TensorInit {
  const data = Uint8Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (i * 7) % 13);
  return { name, dataType: DataType.INT8, dims: dims.map(BigInt), rawData: data };
}

function decodeError(graph: GraphInit): ModelError {
  const bytes = modelBytes(graph);
  const start = performance.now();
  let thrown: unknown;
  try {
    decodeModel(bytes);
  } catch (error) {
    thrown = error;
  }
  expect(performance.now() - start).toBeLessThan(SECONDS);
  expect(thrown).toBeInstanceOf(ModelError);
  return thrown as ModelError;
}

async function load(bytes: Uint8Array, options: LoadOptions = {}) {
  const start = performance.now();
  try {
    return await loadFixedModel(bytes, { backend: 'wasm', threads: 1, ...options });
  } finally {
    expect(performance.now() - start).toBeLessThan(SECONDS);
  }
}

const ends = { input: [value('x', ['N', 1])], output: [value('y', [])] };
const relu = node('Relu', ['x'], ['y']);
const times = <T>(length: number, make: (i: number) => T): T[] => Array.from({ length }, (_, i) => make(i));

describe('decoding takes time in proportion to the file', () => {
  test('20,000 nodes of one name', () => {
    const nodes = times(20_000, (i) => node('Relu', [`v${i}`], [`v${i + 1}`], [], { name: 'n' }));
    const bytes = modelBytes({ input: [value('v0', ['N', 1])], output: [value('v20000', [])], node: nodes });
    const start = performance.now();
    const names = new Set(decodeModel(bytes).nodes.map(({ name }) => name));
    expect(performance.now() - start).toBeLessThan(SECONDS);
    expect(names.size).toBe(20_000);
  });

  test('what has more of a thing than networks have is refused', () => {
    const reasonOf = (graph: Partial<GraphInit>) => decodeError({ ...ends, node: [relu], ...graph }).message;
    const inputs = times(2_000, (i) => value(`x${i}`, [1]));
    expect(reasonOf({ input: inputs })).toMatch(/has 2000 inputs; Octet takes at most 1024/);
    expect(reasonOf({ output: inputs })).toMatch(/has 2000 outputs/);
    const initializer = times(70_000, (i) => ({
      name: `c${i}`,
      dataType: 1,
      dims: [],
      rawData: new Uint8Array(4),
    }));
    expect(reasonOf({ initializer })).toMatch(/has 70000 initializers/);
    expect(reasonOf({ node: times(20_001, () => relu) })).toMatch(/has 20001 nodes/);
    expect(
      reasonOf({
        node: [
          node(
            'Concat',
            times(2_000, () => 'x'),
            ['y'],
          ),
        ],
      }),
    ).toMatch(/Concat: has 2000 inputs/);
    expect(reasonOf({ node: [node('Relu', ['x'], ['y'], [], { name: 'n'.repeat(5000) })] })).toMatch(
      /the name of a node has 5000 characters/,
    );
  });

  test('messages of two bytes each are not decoded', () => {
    // Field 5 of GraphProto, an initializer, without content.
    const body = new Uint8Array(1_000_000).map((_, i) => (i % 2 === 0 ? 0x2a : 0));
    const field = Uint8Array.of(0x3a, 0xc0, 0x84, 0x3d);
    const head = modelBytes({ ...ends, node: [relu] });
    const bytes = Uint8Array.from(Buffer.concat([head, field, body]));
    const start = performance.now();
    expect(() => decodeModel(bytes)).toThrow(/more parts than any model of its size/);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test('a rank of thousands, declared or computed', () => {
    const dims = new Array<bigint>(50_000).fill(1n);
    const constant: TensorInit = { name: 'c', dataType: DataType.FLOAT, dims, floatData: [1] };
    const readers = times(5_000, (i) => node('Add', ['x', 'c'], [`y${i}`]));
    const read = decodeError({ ...ends, output: [value('y0', [])], node: readers, initializer: [constant] });
    expect(read.problems).toEqual([
      { node: 'c', op: '', reason: 'the tensor has 50000 dimensions; Octet takes at most 64' },
    ]);
    const wide = value('x', new Array<number>(20_000).fill(2));
    const pools = times(15_000, (i) => node('GlobalAveragePool', ['x'], [`y${i}`]));
    expect(decodeError({ input: [wide], output: [value('y0', [])], node: pools }).message).toMatch(
      /"x": the value has 20000 dimensions/,
    );
    // Each Gather adds the ranks of its inputs.
    const doubling = times(40, (i) => node('Gather', [`g${i}`, `g${i}`], [`g${i + 1}`]));
    const indices: TensorInit = { name: 'g0', dataType: DataType.INT64, dims: [1n, 1n], int64Data: [0n] };
    expect(
      decodeError({ ...ends, output: [value('g40', [])], node: doubling, initializer: [indices] }).message,
    ).toMatch(/dimensions, more than 64/);
  });

  test('sizes that are no integers are no sizes', () => {
    const sizes = floats('sizes', [2], [1.5, 1.5]);
    const split = node('Split', ['x', 'sizes'], ['y', 'rest'], [attribute('axis', 1)]);
    const input = [value('x', ['N', 3, 1, 1])];
    const bytes = modelBytes({ ...ends, input, node: [split], initializer: [sizes] });
    expect(decodeModel(bytes).nodes[0].op).toBe('Split');
  });
});

describe('messages are short, and the problems all there', () => {
  test('one line for what is wrong with many nodes', () => {
    const nodes = times(10_000, (i) => node('Loop', ['x'], [`y${i}`], [], { name: `lstm${i}` }));
    const error = decodeError({ ...ends, output: [value('y0', [])], node: nodes });
    expect(error.problems).toHaveLength(10_000);
    expect(error.message).toBe(
      'the model has 10000 problems:\n' +
        '  - Loop (opset 17) "lstm0", "lstm1", "lstm2" and 9997 more: operator is not supported',
    );
  });

  test('long names are cut, and so is a list of different problems', () => {
    const name = 'm'.repeat(1000);
    const nodes = times(100, (i) => node('Conv', [name, name], [`y${i}`], [attribute('group', i - 200)]));
    const error = decodeError({ ...ends, output: [value('y0', [])], node: nodes });
    expect(error.problems.length).toBeGreaterThanOrEqual(100);
    expect(error.message.length).toBeLessThan(20 * 1_000);
    expect(error.message.split('\n').length).toBeLessThanOrEqual(22);
  });
});

describe('loading', () => {
  test('activations are bounded, and the bound can be raised', async () => {
    const pools = ['p', 'y0'].map((to, i) =>
      node('MaxPool', [i ? 'p' : 'x0'], [to], [attribute('kernel_shape', [1, 1])]),
    );
    const bytes = quantized(['N', 4, 23_170, 23_170], [...pools, ...pair('y0', 'y')]);
    await expect(load(bytes)).rejects.toThrow(/more than 536870912: pass a larger maxActivationBytes/);
    const small = quantized(['N', 4, 64, 64], [...pools, ...pair('y0', 'y')]);
    await expect(load(small, { maxActivationBytes: 32_767 })).rejects.toThrow(
      /takes 32768 bytes of activations/,
    );
    using model = await load(small, { maxActivationBytes: 32_768 });
    expect(model.inputs[0].channels).toBe(4);
    await expect(load(small, { maxActivationBytes: NaN })).rejects.toThrow(InputError);
  });

  test('what would run long is not warmed up', async () => {
    // A window of 255×255 over each pixel of 700×700: 3·10¹⁰ values.
    const pool = node(
      'MaxPool',
      ['x0'],
      ['p'],
      [attribute('kernel_shape', [255, 255]), attribute('pads', [127, 127, 127, 127])],
    );
    using model = await load(quantized(['N', 8, 700, 700], [pool, ...pair('p', 'y')]));
    expect(model.program.operations).toHaveLength(1);
  });

  test('more channels than an int32 counts', async () => {
    expect(paddedChannels(2 ** 31 - 1)).toBe(2 ** 31);
    const bytes = quantized(['N', 2 ** 31 - 1, 1, 1], [node('Relu', ['x0'], ['r']), ...pair('r', 'y')]);
    await expect(load(bytes)).rejects.toThrow(/maxActivationBytes/);
    await expect(load(bytes, { maxActivationBytes: Infinity })).rejects.toThrow(OctetError);
  });

  test('a depthwise convolution of 2²⁰ channels', async () => {
    const nodes = [
      node('DequantizeLinear', ['w', 's'], ['wd']),
      node('Conv', ['x0', 'wd'], ['c'], [attribute('group', 2 ** 20)]),
      ...pair('c', 'y'),
    ];
    using model = await load(quantized(['N', 2 ** 20, 1, 1], nodes, [int8Weights('w', [2 ** 20, 1, 1, 1])]));
    expect(model.program.operations).toHaveLength(1);
  });

  test('300 convolutions of one weight share what is packed of it', async () => {
    const nodes = [node('DequantizeLinear', ['w', 's'], ['wd'])];
    for (let i = 0; i < 300; i++) nodes.push(node('Conv', ['x0', 'wd'], [`c${i}`]));
    const output = times(300, (i) => value(`c${i}`, []));
    const bytes = quantized(['N', 1024, 1, 1], nodes, [int8Weights('w', [1024, 1024, 1, 1])], { output });
    using model = await load(bytes);
    const weights = model.program.operations.map((operation) => (operation as { weights?: Weights }).weights);
    expect(new Set(weights).size).toBe(1);
    const x = Float32Array.from({ length: 1024 }, (_, i) => (i % 25) / 10);
    const { outputs } = await model.run({ x });
    expect(outputs.c299).toEqual(outputs.c0);
    const { equal } = await model.verify({ x });
    expect(equal).toBe(true);
  });

  test('more channels in slices than a model may list', async () => {
    const bounds = ['from', 'to', 'axis'].map((name, i): TensorInit => {
      return { name, dataType: DataType.INT64, dims: [1n], int64Data: [[0n, 65_536n, 1n][i]] };
    });
    const slices = times(270, (i) => node('Slice', [`x${i}`, 'from', 'to', 'axis'], [`x${i + 1}`]));
    const bytes = quantized(['N', 65_536, 1, 1], slices, bounds, { output: [value('x270', [])] });
    await expect(load(bytes)).rejects.toThrow(
      /Slice.*its offsets, with those before it, are more than 16777216/,
    );
  });

  test('more kernel calls than a run may have', async () => {
    const chain = times(16_400, (i) =>
      node('MaxPool', [`x${i}`], [i === 16_399 ? 'y' : `x${i + 1}`], [attribute('kernel_shape', [1, 1])]),
    );
    const loading = loadFixedModel(quantized(['N', 1, 2, 2], chain), { backend: 'wasm', threads: 1 });
    await expect(loading).rejects.toThrow(/takes more than 16368 kernel calls/);
  });

  test('a chain of 6,000 operations is planned', async () => {
    const chain = times(6_000, (i) =>
      node('MaxPool', [`x${i}`], [i === 5_999 ? 'y' : `x${i + 1}`], [attribute('kernel_shape', [1, 1])]),
    );
    using model = await load(quantized(['N', 1, 2, 2], chain));
    expect((await model.plan()).memory.peakBytes).toBe(32);
  });

  test.each(['wasm', 'reference'] as const)('batches beyond memory are refused on %s', async (backend) => {
    const bytes = quantized(['N', 4, 64, 64], [node('Relu', ['x0'], ['r']), ...pair('r', 'y')]);
    using model = await load(bytes, { backend });
    await expect(model.plan(1e9)).rejects.toThrow(InputError);
    await expect(model.profile({ batch: 1e9 })).rejects.toThrow(InputError);
    await expect(model.profile({ repetitions: 1e9 })).rejects.toThrow(InputError);
    if (backend === 'wasm') await expect(load(bytes, { batches: [1e9] })).rejects.toThrow(InputError);
  });

  test('averages over large windows are prepared quickly', async () => {
    const chain = times(30, (i) => [
      node(
        'AveragePool',
        [`x${i}`],
        [`p${i}`],
        [attribute('kernel_shape', [255, 255]), attribute('pads', [127, 127, 127, 127])],
      ),
      ...pair(`p${i}`, i === 29 ? 'y' : `x${i + 1}`),
    ]).flat();
    using model = await load(quantized(['N', 1, 256, 256], chain));
    expect(model.program.operations).toHaveLength(30);
  });
});
