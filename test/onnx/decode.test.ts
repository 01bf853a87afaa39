import { TensorProto_DataType as DataType } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { InputError, ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { openModel } from '../../src/onnx/decode.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import {
  attribute,
  floatAttribute,
  floats,
  type GraphInit,
  int64s,
  modelBytes,
  node,
  type NodeInit,
  type TensorInit,
  value,
} from '../support/onnx-proto.ts';
import { swirl } from '../support/swirl.ts';
import { createQdqGraph } from '../support/qdq-graph.ts';

const input = value('x', ['N', 3, 6, 6]);

/** A graph of nodes from `x` to `y`. */
function graphOf(
  nodes: NodeInit[],
  initializer: TensorInit[] = [],
  rest: Partial<GraphInit> = {},
): GraphInit {
  return { input: [input], output: [value('y', [])], node: nodes, initializer, ...rest };
}

function problemsOf(bytes: Uint8Array, options = {}): ModelError['problems'] {
  try {
    decodeModel(bytes, options);
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError);
    return (error as ModelError).problems;
  }
  throw new Error('the model was accepted');
}

const ops = (graph: Graph) => graph.nodes.map(({ op }) => op);

describe('opsets are read into one form', () => {
  test.each([7, 9, 10, 11, 12, 13, 17, 18, 21, 25])(
    'Clip, Squeeze, ReduceMean, Dropout at opset %i',
    (opset) => {
      const axes = (name: string, since: number, list: number[]) =>
        opset >= since
          ? { inputs: [name], attributes: [], tensors: [int64s(name, list)] }
          : { inputs: [], attributes: [attribute('axes', list)], tensors: [] };
      const mean = axes('mean.axes', 18, [-1, 2]);
      const squeeze = axes('squeeze.axes', 13, [2, 3]);
      const clip =
        opset >= 11
          ? { inputs: ['lo', 'hi'], attributes: [], tensors: [floats('lo', [], [0]), floats('hi', [], [6])] }
          : { inputs: [], attributes: [floatAttribute('min', 0), floatAttribute('max', 6)], tensors: [] };
      const graph = decodeModel(
        modelBytes(
          graphOf(
            [
              node('Clip', ['x', ...clip.inputs], ['a'], clip.attributes),
              node('Dropout', ['a'], ['b', 'mask'], opset < 12 ? [floatAttribute('ratio', 0.5)] : []),
              node(
                'ReduceMean',
                ['b', ...mean.inputs],
                ['c'],
                [...mean.attributes, attribute('keepdims', 1)],
              ),
              node('Squeeze', ['c', ...squeeze.inputs], ['y'], squeeze.attributes),
            ],
            [...clip.tensors, ...mean.tensors, ...squeeze.tensors],
          ),
          opset,
        ),
      );
      expect(graph.opset).toBe(Math.max(13, opset));
      expect(ops(graph)).toEqual(['Clip', 'Dropout', 'GlobalAveragePool', 'Flatten']);
      expect(graph.nodes[0].inputs.slice(1).map((name) => graph.constants.get(name)!.data[0])).toEqual([
        0, 6,
      ]);
      expect(graph.nodes[1]).toMatchObject({ inputs: ['a'], outputs: ['b'], attributes: {} });
      expect(graph.outputs).toEqual([{ name: 'y', dtype: 'float32', shape: ['N', 3] }]);
    },
  );

  test('a mean without kept dimensions is a pool and a Flatten', () => {
    const mean = node('ReduceMean', ['x'], ['y'], [attribute('axes', [2, 3]), attribute('keepdims', 0)]);
    const graph = decodeModel(modelBytes(graphOf([mean]), 13));
    expect(ops(graph)).toEqual(['GlobalAveragePool', 'Flatten']);
    expect(graph.outputs[0].shape).toEqual(['N', 3]);
  });

  test('a Reshape to flat is a Flatten, from constants or from computed shapes', () => {
    const constant = decodeModel(
      modelBytes(graphOf([node('Reshape', ['x', 'shape'], ['y'])], [int64s('shape', [-1, 108])])),
    );
    expect(ops(constant)).toEqual(['Flatten']);
    // What torch.onnx exports for x.view(x.size(0), -1).
    const computed = decodeModel(
      modelBytes(
        graphOf(
          [
            node('Shape', ['x'], ['shape']),
            node('Gather', ['shape', 'zero'], ['n'], [attribute('axis', 0)]),
            node('Unsqueeze', ['n', 'axes'], ['n1']),
            node('Concat', ['n1', 'rest'], ['target'], [attribute('axis', 0)]),
            node('Reshape', ['x', 'target'], ['y']),
          ],
          [
            { name: 'zero', dataType: DataType.INT64, dims: [], int64Data: [0n] },
            int64s('axes', [0]),
            int64s('rest', [-1]),
          ],
        ),
      ),
    );
    expect(ops(computed)).toEqual(['Flatten']);
    expect(computed.constants.size).toBe(0);
    expect(computed.outputs[0].shape).toEqual(['N', 108]);
  });

  test('pads computed from sizes, as torch.onnx exports F.pad, are folded and merged', () => {
    const nodes = [
      node('Shape', ['given'], ['count']),
      node('Mul', ['rank', 'two'], ['all']),
      node('Sub', ['all', 'count'], ['missing']),
      node('ConstantOfShape', ['missing'], ['zeros'], [attribute('value', int64s('', [0]))]),
      node('Concat', ['given', 'zeros'], ['pairs'], [attribute('axis', 0)]),
      node('Reshape', ['pairs', 'by two'], ['matrix']),
      node('Slice', ['matrix', 'minus one', 'least', 'zero', 'minus one'], ['reversed']),
      node('Transpose', ['reversed'], ['transposed'], [attribute('perm', [1, 0])]),
      node('Reshape', ['transposed', 'minus one'], ['pads64']),
      node('Cast', ['pads64'], ['pads'], [attribute('to', 7)]),
      node('Pad', ['x', 'pads'], ['padded'], [attribute('mode', 'constant')]),
      node('Conv', ['padded', 'w'], ['y'], [attribute('kernel_shape', [3, 3])]),
    ];
    const constants = [
      // Left, right, top, bottom.
      int64s('given', [1, 2, 1, 0]),
      int64s('rank', [4]),
      int64s('two', [2]),
      int64s('by two', [-1, 2]),
      int64s('minus one', [-1]),
      int64s('least', [-(2 ** 53)]),
      int64s('zero', [0]),
      floats('w', [2, 3, 3, 3], new Array<number>(54).fill(0.1)),
    ];
    const graph = decodeModel(modelBytes(graphOf(nodes, constants)));
    expect(ops(graph)).toEqual(['Pad', 'Conv']);
    expect([...graph.constants.get('pads')!.data].map(Number)).toEqual([0, 0, 1, 1, 0, 0, 0, 2]);
    const [conv] = optimize(graph).nodes;
    expect(conv).toMatchObject({ op: 'Conv', inputs: ['x', 'w'], attributes: { pads: [1, 1, 0, 2] } });
  });

  test.each([
    ['sizes as an attribute, opset 11', 11, [attribute('split', [2, 1])], []],
    ['sizes as an input, opset 13', 13, [], ['sizes']],
    ['sizes of a number of parts, opset 18', 18, [attribute('num_outputs', 2)], []],
  ] as const)('a Split is a Slice for each part that is read: %s', (_, opset, sizes, inputs) => {
    const nodes = [
      node('Split', ['x', ...inputs], ['first', 'last'], [attribute('axis', -3), ...sizes]),
      node('Split', ['x'], ['a', 'unread', 'c'], [attribute('axis', 1)]),
      node('Concat', ['last', 'a', 'first', 'c'], ['y'], [attribute('axis', 1)]),
    ];
    const graph = decodeModel(
      modelBytes(graphOf(nodes, inputs.length > 0 ? [int64s('sizes', [2, 1])] : []), opset),
    );
    expect(ops(graph)).toEqual(['Slice', 'Slice', 'Slice', 'Slice', 'Concat']);
    expect(new Set(graph.nodes.map(({ name }) => name)).size).toBe(5);
    const bounds = graph.nodes
      .slice(0, 4)
      .map(({ inputs: [, starts, ends, axes] }) =>
        [starts, ends, axes].map((name) => Number(graph.constants.get(name)!.data[0])),
      );
    expect(bounds).toEqual([
      [0, 2, 1],
      [2, 3, 1],
      [0, 1, 1],
      [2, 3, 1],
    ]);
    expect(graph.outputs[0].shape).toEqual(['N', 5, 6, 6]);
  });

  test.each([
    [[attribute('axis', 1)], ['a', 'b', 'c', 'd'], /splits 3 into 4 parts of \[1,1,1,0\]/],
    [
      [attribute('axis', 1), attribute('num_outputs', 2 ** 31 - 1)],
      ['a', 'b'],
      /splits 3 into 2147483647 parts/,
    ],
    [[attribute('axis', 4)], ['a', 'b'], /axis is outside a tensor of shape \[N,3,6,6\]/],
  ] as const)('a Split that does not fit is refused: %#', (attributes, outputs, reason) => {
    const nodes = [
      node('Split', ['x'], [...outputs], [...attributes]),
      node('Concat', [...outputs], ['y'], [attribute('axis', 1)]),
    ];
    expect(problemsOf(modelBytes(graphOf(nodes), 18))[0].reason).toMatch(reason);
  });

  describe('a channel shuffle is a Gather', () => {
    const shuffled = (scales: readonly number[]) => {
      const b = createQdqGraph();
      const pair = (value: string, i: number) => (scales[i] === 0 ? value : b.qdq(value, scales[i], 3));
      const shape = (...sizes: number[]) =>
        b.constant(`to ${sizes}`, [sizes.length], BigInt64Array.from(sizes, BigInt));
      const x = pair(b.input('x', ['N', 6, 2, 2]), 0);
      const grouped = pair(b.node('Reshape', [x, shape(0, 3, 2, 2, 2)]), 1);
      const swapped = pair(b.node('Transpose', [grouped], { perm: [0, 2, 1, 3, 4] }), 2);
      b.output(pair(b.node('Reshape', [swapped, shape(0, 6, 2, 2)]), 3), ['N', 6, 2, 2]);
      return decodeModel(encodeModel(b.build()));
    };

    test('in a float graph', () => {
      const graph = shuffled([0, 0, 0, 0]);
      expect(ops(graph)).toEqual(['Gather']);
      expect([...graph.constants.values()].map(({ data }) => [...data].map(Number))).toEqual([
        [0, 2, 4, 1, 3, 5],
      ]);
    });

    test('between pairs of one scale', () => {
      const pair = ['QuantizeLinear', 'DequantizeLinear'];
      expect(ops(shuffled([0.1, 0.1, 0.1, 0.1]))).toEqual([...pair, 'Gather', ...pair]);
      expect(ops(shuffled([0.1, 0, 0, 0.2]))).toEqual([...pair, 'Gather', ...pair]);
    });

    test('but not where a pair within has another scale', () => {
      for (const scales of [
        [0.1, 0.2, 0.1, 0.1],
        [0.1, 0.1, 0.2, 0.1],
        [0, 0.1, 0.1, 0.1],
      ]) {
        expect(ops(shuffled(scales))).toContain('Transpose');
      }
    });
  });

  test('halves and shuffles whose bounds and shapes are computed from sizes, as TorchScript exports chunk and view', () => {
    const size = (of: string, axis: string, name: string) => [
      node('Shape', [of], [`${name}.shape`]),
      node('Gather', [`${name}.shape`, axis], [name], [attribute('axis', 0)]),
    ];
    const flat = (name: string) => node('Unsqueeze', [name, 'zero'], [`${name}.1`]);
    const nodes = [
      ...size('x', 'one', 'channels'),
      node('Add', ['channels', 'one'], ['more']),
      node('Div', ['more', 'two'], ['middle']),
      node('Mul', ['middle', 'two'], ['end']),
      node('Slice', ['x', 'zero', 'middle', 'one'], ['first']),
      node('Slice', ['x', 'middle', 'end', 'one'], ['last']),
      node('Concat', ['last', 'first', 'first'], ['joined'], [attribute('axis', 1)]),
      ...size('joined', 'scalar 0', 'n'),
      ...size('joined', 'scalar 1', 'c'),
      node('Div', ['c', 'scalar 5'], ['c/5']),
      ...['n', 'c', 'c/5'].map(flat),
      node('Concat', ['n.1', 'five', 'c/5.1', 'six', 'six'], ['grouped shape'], [attribute('axis', 0)]),
      node('Reshape', ['joined', 'grouped shape'], ['grouped']),
      node('Transpose', ['grouped'], ['swapped'], [attribute('perm', [0, 2, 1, 3, 4])]),
      node('Concat', ['n.1', 'c.1', 'six', 'six'], ['shape'], [attribute('axis', 0)]),
      node('Reshape', ['swapped', 'shape'], ['y']),
    ];
    const scalar = (of: number) => ({
      name: `scalar ${of}`,
      dataType: DataType.INT64,
      dims: [],
      int64Data: [BigInt(of)],
    });
    const lists = Object.entries({ zero: 0, one: 1, two: 2, five: 5, six: 6 }).map(([name, of]) =>
      int64s(name, [of]),
    );
    const graph = decodeModel(modelBytes(graphOf(nodes, [...lists, ...[0, 1, 5].map(scalar)])));
    expect(ops(graph)).toEqual(['Slice', 'Slice', 'Concat', 'Gather']);
    expect(graph.values.get('last')!.shape).toEqual(['N', 1, 6, 6]);
    expect([...graph.constants.get(graph.nodes[3].inputs[1])!.data].map(Number)).toEqual([0, 1, 2, 3, 4]);
  });

  test('Softmax over the last axis at opset 11; over several axes it is refused', () => {
    const flat = node('Flatten', ['x'], ['f'], []);
    const graph = decodeModel(modelBytes(graphOf([flat, node('Softmax', ['f'], ['y'])]), 11));
    expect(graph.nodes[1].attributes).toEqual({ axis: 1 });
    expect(problemsOf(modelBytes(graphOf([node('Softmax', ['x'], ['y'])]), 11))[0].reason).toMatch(
      /axes 1 to 3 together/,
    );
  });

  test.each([6, 29])('opset %i is refused', (opset) => {
    expect(problemsOf(modelBytes(graphOf([node('Relu', ['x'], ['y'])]), opset))[0].reason).toMatch(
      `opset ${opset}`,
    );
  });
});

describe('weights', () => {
  const bits = (array: ArrayBufferView<ArrayBuffer>) =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const half = { name: 'w', dims: [4n] };
  const values = [1, -2.5, 0.333251953125, 65504];
  const halfBits = [0x3c00, 0xc100, 0x3555, 0x7bff];

  const decodeTensor = (tensor: TensorInit, options = {}) => {
    const add = [node('Add', ['x', 'w'], ['y'])];
    const graph = {
      input: [value('x', ['N', 4])],
      output: [value('y', [])],
      node: add,
      initializer: [tensor],
    };
    return decodeModel(modelBytes(graph), options).constants.get('w')!;
  };

  test.each<[string, TensorInit]>([
    ['float32, raw', { ...half, dataType: DataType.FLOAT, rawData: bits(Float32Array.from(values)) }],
    ['float32, typed', { ...half, dataType: DataType.FLOAT, floatData: values }],
    ['float16, raw', { ...half, dataType: DataType.FLOAT16, rawData: bits(Uint16Array.from(halfBits)) }],
    ['float16, typed', { ...half, dataType: DataType.FLOAT16, int32Data: halfBits }],
  ])('%s', (_, tensor) => {
    const { data, dtype, shape } = decodeTensor(tensor);
    expect([...data]).toEqual(values);
    expect([dtype, shape]).toEqual(['float32', [4]]);
    expect(data).toBeInstanceOf(Float32Array);
  });

  test('bfloat16, raw and typed', () => {
    const patterns = [0x3f80, 0xc020, 0x4049, 0x0001];
    const expected = [1, -2.5, 3.140625, 2 ** -133];
    const raw = { ...half, dataType: DataType.BFLOAT16, rawData: bits(Uint16Array.from(patterns)) };
    expect([...decodeTensor(raw).data]).toEqual(expected);
    expect([...decodeTensor({ ...half, dataType: DataType.BFLOAT16, int32Data: patterns }).data]).toEqual(
      expected,
    );
  });

  test('a Cast from float16 and a Constant become float32 constants', () => {
    const nodes = [
      node(
        'Constant',
        [],
        ['h'],
        [attribute('value', { ...half, dataType: DataType.FLOAT16, int32Data: halfBits })],
      ),
      node('Cast', ['h'], ['w'], [attribute('to', 1)]),
      node('Add', ['x', 'w'], ['y']),
    ];
    const graph = { input: [value('x', ['N', 4])], output: [value('y', [])], node: nodes };
    const decoded = decodeModel(modelBytes(graph));
    expect(ops(decoded)).toEqual(['Add']);
    expect([...decoded.constants.keys()]).toEqual(['w']);
    expect(decoded.constants.get('w')!.dtype).toBe('float32');
  });

  test('a QuantizeLinear of weights is folded to the type that its output_dtype names', () => {
    const nodes = [
      node('QuantizeLinear', ['w', 's'], ['q'], [attribute('output_dtype', DataType.INT8)]),
      node('DequantizeLinear', ['q', 's'], ['d']),
      node('Add', ['x', 'd'], ['y']),
    ];
    const decoded = decodeModel(
      modelBytes(
        {
          input: [value('x', ['N', 2])],
          output: [value('y', ['N', 2])],
          node: nodes,
          initializer: [floats('w', [2], [0.5, -0.75]), floats('s', [], [0.25])],
        },
        21,
      ),
    );
    expect(decoded.constants.get('q')).toMatchObject({ dtype: 'int8', data: Int8Array.of(2, -3) });
  });

  test('a model in float16 is read as one in float32', () => {
    const nodes = [node('Add', ['x', 'w'], ['s']), node('Cast', ['s'], ['y'], [attribute('to', 10)])];
    const graph = decodeModel(
      modelBytes({
        input: [value('x', ['N', 4], DataType.FLOAT16)],
        output: [value('y', ['N', 4], DataType.FLOAT16)],
        node: nodes,
        initializer: [{ ...half, dataType: DataType.FLOAT16, int32Data: halfBits }],
      }),
    );
    expect(
      [...graph.inputs, ...graph.outputs, ...graph.values.values()].map(({ dtype }) => dtype),
    ).not.toContain('float16');
    expect(ops(graph)).toEqual(['Add', 'Identity']);
  });

  test('weights are views of the file where they are aligned, copies where not, Buffers included', () => {
    const file = Buffer.from(
      modelBytes(
        graphOf(
          [node('Add', ['x', 'w'], ['y'])],
          [{ name: 'w', dims: [1n], dataType: DataType.FLOAT, rawData: bits(Float32Array.of(0.1)) }],
        ),
      ),
    );
    for (let shift = 0; shift < 4; shift++) {
      const shifted = Buffer.alloc(file.length + 8);
      file.copy(shifted, shift);
      const { data } = decodeModel(shifted.subarray(shift, shift + file.length)).constants.get('w')!;
      expect([...data]).toEqual([Math.fround(0.1)]);
    }
  });

  describe('external data', () => {
    const external = (entries: Record<string, string>): TensorInit => ({
      ...half,
      dataType: DataType.FLOAT,
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, text]) => ({ key, value: text })),
    });
    const file = bits(Float32Array.of(9, ...values));
    const externalData = (location: string) => (location === 'weights/w.bin' ? file : undefined);

    test('by offset and length, whose files can be listed before', () => {
      const tensor = external({ location: 'weights/w.bin', offset: '4', length: '16' });
      expect([...decodeTensor(tensor, { externalData }).data]).toEqual(values);
      expect(openModel(modelBytes({ initializer: [tensor, tensor] })).externalData).toEqual([
        'weights/w.bin',
      ]);
      const constant = node('Constant', [], ['w'], [attribute('value', tensor)]);
      expect(openModel(modelBytes({ node: [constant] })).externalData).toEqual(['weights/w.bin']);
    });

    test.each([
      [{ location: '../w.bin' }, /only a relative path/],
      [{ location: 'weights/../../w.bin' }, /only a relative path/],
      [{ location: '%2e%2e/w.bin' }, /only a relative path/],
      [{ location: '.%2E/w.bin' }, /only a relative path/],
      [{ location: '.\t./w.bin' }, /only a relative path/],
      [{ location: 'weights/.. /w.bin' }, /only a relative path/],
      [{ location: '/etc/passwd' }, /only a relative path/],
      [{ location: 'C:\\w.bin' }, /only a relative path/],
      [{ location: 'https://example.org/w.bin' }, /only a relative path/],
      [{}, /only a relative path/],
      [{ location: 'absent.bin' }, /was not found/],
      [{ location: 'weights/w.bin', offset: '-4' }, /non-negative integers/],
      [{ location: 'weights/w.bin', offset: '8' }, /has 20 bytes, but bytes 8 to 24/],
      [{ location: 'weights/w.bin', offset: '9999999999999999' }, /has 20 bytes/],
      [{ location: 'weights/w.bin', length: '12' }, /has 12 bytes, but the tensor needs 16/],
    ])('%j is refused', (entries, reason) => {
      const bytes = modelBytes(graphOf([node('Add', ['x', 'w'], ['y'])], [external(entries)]));
      expect(problemsOf(bytes, { externalData })).toEqual([
        { node: 'w', op: '', reason: expect.stringMatching(reason) as string },
      ]);
    });

    test('is not copied thousands of times', () => {
      const dump = new Uint8Array(100_001);
      const readers = Array.from({ length: 1_000 }, (_, i) => ({
        ...external({ location: 'dump', offset: '1', length: '100000' }),
        name: `w${i}`,
        dims: [25_000n],
      }));
      const bytes = modelBytes(graphOf([node('Add', ['x', 'w0'], ['y'])], readers));
      expect(problemsOf(bytes, { externalData: () => dump })[0].reason).toBe(
        'its tensors read 100000000 bytes of external data, of which there are 100001',
      );
    });

    test('is asked for where it is not given', () => {
      const bytes = modelBytes(graphOf([node('Add', ['x', 'w'], ['y'])], [external({ location: 'w.bin' })]));
      expect(problemsOf(bytes)[0].reason).toMatch(/"w.bin", which was not given/);
    });
  });
});

describe('what is wrong with a file', () => {
  test('is reported all at once, each with node, operator, opset and reason', () => {
    const bytes = modelBytes(
      graphOf(
        [
          node('Loop', ['x'], ['a'], [], { name: 'recurrent' }),
          node('Conv', ['x', 'w'], ['b'], [attribute('strides', [0, 1]), attribute('colour', 1)], {
            name: 'conv',
          }),
          node('MaxPool', ['x'], ['c'], [], { name: 'pool' }),
          node('Relu', ['nowhere'], ['d'], [], { name: 'relu' }),
          node('Relu', ['x'], ['d'], [], { name: 'again' }),
          node('Foo', ['x'], ['e'], [], { name: 'foo', domain: 'com.example' }),
          node('Concat', ['x', 'f'], ['y'], [attribute('axis', 1)], { name: 'concat' }),
          node('Flatten', ['x'], ['f'], [], { name: 'flatten' }),
        ],
        [
          floats('w', [2, 3, 3, 3], [1]),
          { name: 'huge', dims: [1n << 40n], dataType: DataType.FLOAT },
          { name: 'four', dims: [1n], dataType: DataType.FLOAT8E4M3FN, int32Data: [1] },
          floats('nan', [2], [1, NaN]),
        ],
      ),
    );
    const problems = problemsOf(bytes);
    expect(problems.map(({ node: name, op, opset, reason }) => `${name}|${op}|${opset}|${reason}`)).toEqual([
      expect.stringMatching(/^w\|\|undefined\|.*1 values, but shape \[2,3,3,3\] needs 54/),
      expect.stringMatching(/^huge\|\|undefined\|.*dimension of 1099511627776/),
      expect.stringMatching(/^four\|\|undefined\|.*FLOAT8E4M3FN/),
      expect.stringMatching(/^nan\|\|undefined\|.*NaN at index 1/),
      expect.stringMatching(/^recurrent\|Loop\|17\|operator is not supported/),
      expect.stringMatching(/^conv\|Conv\|17\|attribute colour/),
      expect.stringMatching(/^pool\|MaxPool\|17\|attribute kernel_shape is missing/),
      expect.stringMatching(/^foo\|com.example.Foo\|17\|.*domain "com.example"/),
      expect.stringMatching(/^again\|Relu\|17\|output "d" is defined twice/),
      expect.stringMatching(/^relu\|Relu\|17\|input "nowhere"/),
      expect.stringMatching(/^concat\|Concat\|17\|inputs have different ranks/),
    ]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(), /empty/],
    [
      'a text file',
      new TextEncoder().encode('<!DOCTYPE html>\n<html><body>404'),
      /text file.*<!DOCTYPE html>/,
    ],
    [
      'a Git LFS pointer',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\n'),
      /git lfs pull/,
    ],
    ['a ZIP archive', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 8, 0), /ZIP archive/],
    ['a TensorFlow Lite model', Uint8Array.of(0x1c, 0, 0, 0, 0x54, 0x46, 0x4c, 0x33, 0), /TensorFlow Lite/],
    ['zeros', new Uint8Array(100), /not an ONNX model/],
    ['deeply nested groups', new Uint8Array(100_000).fill(0x0b), /not an ONNX model|text file/],
  ])('%s', (_, bytes, reason) => {
    expect(problemsOf(bytes)[0].reason).toMatch(reason);
  });

  test('an ArrayBuffer', () => {
    expect(() => decodeModel(new ArrayBuffer(8) as unknown as Uint8Array)).toThrow(InputError);
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      'cycle',
      modelBytes(
        graphOf([node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['a'], ['y'])]),
      ),
      /cycle/,
    ],
    ['no outputs', modelBytes(graphOf([node('Relu', ['x'], ['y'])], [], { output: [] })), /no outputs/],
    [
      'no inputs',
      modelBytes(graphOf([node('Relu', ['x'], ['y'])], [floats('x', [1], [1])], { input: [] })),
      /no inputs/,
    ],
    ['an output nobody computes', modelBytes(graphOf([node('Relu', ['x'], ['z'])])), /computed by no node/],
    [
      'no opset',
      modelBytes(graphOf([node('Relu', ['x'], ['y'])]), 17, { opsetImport: [] }),
      /default operator set/,
    ],
    [
      'a negative dimension',
      modelBytes(graphOf([node('Add', ['x', 'w'], ['y'])], [{ name: 'w', dims: [-4n], dataType: 1 }])),
      /negative dimension/,
    ],
    [
      'a size beyond all',
      modelBytes(
        graphOf([node('Add', ['x', 'w'], ['y'])], [{ name: 'w', dims: [1n << 20n, 1n << 20n], dataType: 1 }]),
      ),
      /more elements/,
    ],
    [
      'too little raw data',
      modelBytes(
        graphOf(
          [node('Add', ['x', 'w'], ['y'])],
          [{ name: 'w', dims: [1n << 29n], dataType: 1, rawData: new Uint8Array(4) }],
        ),
      ),
      /raw_data has 4 bytes/,
    ],
    [
      'an input of size 2^40',
      modelBytes(graphOf([node('Relu', ['x'], ['y'])], [], { input: [value('x', [1, 2 ** 40])] })),
      /dimension 1099511627776/,
    ],
    [
      'hostile padding',
      modelBytes(
        graphOf([
          node(
            'MaxPool',
            ['x'],
            ['y'],
            [attribute('kernel_shape', [1, 1]), attribute('pads', [2 ** 23, 2 ** 23, 0, 0])],
          ),
        ]),
      ),
      /pads must be four integers from 0 to 65535/,
    ],
    [
      'an attribute beyond integers',
      modelBytes(graphOf([node('Flatten', ['x'], ['y'], [{ ...attribute('axis', 0), i: 1n << 60n }])])),
      /out of range/,
    ],
    [
      'training',
      modelBytes(
        graphOf(
          [node('Dropout', ['x', '', 'on'], ['y'])],
          [{ name: 'on', dims: [], dataType: DataType.BOOL, int32Data: [1] }],
        ),
      ),
      /training mode/,
    ],
    [
      'blocks',
      modelBytes(
        graphOf(
          [node('QuantizeLinear', ['x', 's'], ['y'], [attribute('block_size', 2)])],
          [floats('s', [], [1])],
        ),
        21,
      ),
      /one a block of 2/,
    ],
    [
      'weights of no size',
      modelBytes(
        graphOf(
          [node('Flatten', ['x'], ['f']), node('Gemm', ['f', 'w'], ['y'])],
          [floats('w', [108, 0], [])],
        ),
      ),
      /positive sizes/,
    ],
    [
      'an operator newer than the opset',
      modelBytes(graphOf([node('Gelu', ['x'], ['y'])]), 17),
      /came with opset 20/,
    ],
  ])('%s', (_, bytes, reason) => {
    expect(
      problemsOf(bytes)
        .map(({ reason: text }) => text)
        .join('\n'),
    ).toMatch(reason);
  });
});

describe('a small file that asks for much', () => {
  const doubling = (first: TensorInit): GraphInit => {
    const nodes = Array.from({ length: 60 }, (_, i) =>
      node('Concat', [`c${i}`, `c${i}`], [`c${i + 1}`], [attribute('axis', 0)]),
    );
    return graphOf([...nodes, node('Reshape', ['x', 'c60'], ['y'])], [{ ...first, name: 'c0' }]);
  };

  test('doubling a constant 60 times is refused', () => {
    expect(problemsOf(modelBytes(doubling(int64s('', [1, 1]))))[0].reason).toMatch(/more elements/);
    expect(problemsOf(modelBytes(doubling(floats('', [2], [1, 1]))))[0].reason).toMatch(/more elements/);
  });

  test('filling a tensor of 2^30 elements leaves it to be computed', () => {
    const nodes = [node('ConstantOfShape', ['size'], ['c']), node('Add', ['x', 'c'], ['y'])];
    const graph = graphOf(nodes, [int64s('size', [2 ** 15, 2 ** 15])]);
    expect(() => decodeModel(modelBytes(graph))).toThrow(ModelError);
    const alone = graphOf(
      [...nodes.slice(0, 1), node('Flatten', ['c'], ['y'])],
      [int64s('size', [2 ** 15, 2 ** 15])],
    );
    expect(decodeModel(modelBytes(alone)).constants.size).toBe(1);
  });

  test('more nodes than any network has are refused', () => {
    const nodes = Array.from({ length: 20_001 }, () => node('Relu', ['x'], ['y']));
    expect(problemsOf(modelBytes(graphOf(nodes)))[0].reason).toMatch(
      /20001 nodes; Octet takes at most 20000/,
    );
  });

  test('a long chain is read in reasonable time', () => {
    const nodes = Array.from({ length: 19_999 }, (_, i) =>
      node('Identity', [i ? `v${i}` : 'x'], [`v${i + 1}`]),
    );
    const graph = decodeModel(modelBytes(graphOf([...nodes, node('Relu', ['v19999'], ['y'])])));
    expect(ops(optimize(graph))).toEqual(['Relu']);
  });
});

test('scale and zero point of one element may differ in rank, as onnxruntime writes them', () => {
  const nodes = [node('DequantizeLinear', ['q', 's', 'z'], ['d']), node('Add', ['x', 'd'], ['y'])];
  const zero = { name: 'z', dims: [], dataType: DataType.INT32, int32Data: [0] };
  const q = { name: 'q', dims: [6n], dataType: DataType.INT32, int32Data: [1, 2, 3, 4, 5, 6] };
  const graph = decodeModel(modelBytes(graphOf(nodes, [q, floats('s', [1], [0.5]), zero])));
  expect(ops(graph)).toEqual(['DequantizeLinear', 'Add']);
});

test('nodes out of order are sorted, unnamed and doubly named ones get names of their own', () => {
  const graph = decodeModel(
    modelBytes(
      graphOf([
        node('Relu', ['b'], ['y'], [], { name: 'same' }),
        node('Sigmoid', ['a'], ['b'], [], { name: 'same' }),
        node('Tanh', ['x'], ['a']),
      ]),
    ),
  );
  expect(graph.nodes.map(({ name, op }) => `${op} ${name}`)).toEqual([
    'Tanh Tanh_2',
    'Sigmoid same_1',
    'Relu same',
  ]);
});

test('operators of the caller are let through, and give their results shapes', () => {
  const custom = node('Swirl', ['x'], ['a'], [floatAttribute('angle', 2)], { domain: 'com.example' });
  const graph = decodeModel(modelBytes(graphOf([custom, node('Relu', ['a'], ['y'])])), {
    operators: [swirl],
  });
  expect(graph.nodes[0]).toMatchObject({ op: 'com.example.Swirl', attributes: { angle: 2 } });
  expect(graph.outputs[0].shape).toEqual(['N', 3, 6, 6]);
});
