/** Import and export at their edges: the opset at which something comes or goes, defaults that a file leaves out, rare forms. */
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProto_DataType as DataType } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import {
  attribute,
  type AttributeInit,
  floatAttribute,
  floats,
  type GraphInit,
  int64s,
  modelBytes,
  type ModelInit,
  node,
  type NodeInit,
  type TensorInit,
  value,
} from '../support/onnx-proto.ts';

interface File {
  readonly nodes: NodeInit[];
  readonly initializer?: TensorInit[];
  readonly opset?: number;
  readonly shape?: readonly (number | string)[];
  readonly graph?: Partial<GraphInit>;
  readonly model?: Partial<ModelInit>;
}

/** A file of nodes from `x` to `y`. */
function file({
  nodes,
  initializer = [],
  opset = 17,
  shape = ['N', 3, 6, 6],
  graph,
  model,
}: File): Uint8Array {
  const init = { input: [value('x', shape)], output: [value('y', [])], node: nodes, initializer, ...graph };
  return modelBytes(init, opset, model);
}

const decoded = (of: File): Graph => decodeModel(file(of));

/** Every reason for which the file is refused, a line each; empty where it is accepted. */
function refusal(of: File): string {
  try {
    decoded(of);
    return '';
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return error.problems.map(({ reason }) => reason).join('\n');
  }
}

describe('an attribute', () => {
  const refused = (op: string, given: AttributeInit, opset: number): boolean =>
    refusal({ nodes: [node(op, ['x'], ['y'], [given])], opset }).includes(
      `attribute ${given.name} is not one of the operator's`,
    );

  test.each<[string, AttributeInit, number]>([
    ['Clip', floatAttribute('min', 0), 11],
    ['Clip', floatAttribute('max', 6), 11],
    ['Pad', attribute('pads', new Array<number>(8).fill(0)), 11],
    ['Pad', floatAttribute('value', 1), 11],
    ['Dropout', floatAttribute('ratio', 0.5), 12],
    ['Squeeze', attribute('axes', [2]), 13],
    ['Unsqueeze', attribute('axes', [2]), 13],
    ['Split', attribute('split', [1, 2]), 13],
    ['ReduceMean', attribute('axes', [2, 3]), 18],
  ])('%s: $name goes with the opset that removed it, not before or after', (op, given, until) => {
    expect([until - 1, until].map((opset) => refused(op, given, opset))).toEqual([false, true]);
  });

  test.each<[string, AttributeInit, number]>([
    ['Dropout', attribute('seed', 1), 12],
    ['QuantizeLinear', attribute('axis', 1), 13],
    ['DequantizeLinear', attribute('axis', 1), 13],
    ['Reshape', attribute('allowzero', 0), 14],
    ['BatchNormalization', attribute('training_mode', 0), 14],
    ['Shape', attribute('start', 0), 15],
    ['Split', attribute('num_outputs', 1), 18],
    ['ReduceMean', attribute('noop_with_empty_axes', 0), 18],
    ['AveragePool', attribute('dilations', [1, 1]), 19],
    ['Cast', attribute('saturate', 1), 19],
    ['QuantizeLinear', attribute('output_dtype', DataType.INT8), 21],
    ['DequantizeLinear', attribute('output_dtype', DataType.FLOAT), 23],
  ])('%s: $name comes with the opset that brought it', (op, given, since) => {
    expect([since - 1, since].map((opset) => refused(op, given, opset))).toEqual([true, false]);
  });

  test.each([
    ['Unsqueeze', 'axes', 13],
    ['Pad', 'pads', 11],
  ])('%s: %s is missing only as long as it is an attribute', (op, name, until) => {
    const missing = (opset: number) =>
      refusal({ nodes: [node(op, ['x'], ['y'])], opset }).includes(`attribute ${name} is missing`);
    expect([until - 1, until].map(missing)).toEqual([true, false]);
  });
});

test.each([
  ['Celu', 12],
  ['HardSwish', 14],
  ['Mish', 18],
  ['Gelu', 20],
  ['Swish', 24],
])('the operator %s comes with opset %i', (op, since) => {
  const tooNew = (opset: number) => refusal({ nodes: [node(op, ['x'], ['y'])], opset });
  expect(tooNew(since - 1)).toMatch(`came with opset ${since}`);
  expect(tooNew(since)).toBe('');
});

describe('defaults', () => {
  test('ReduceMean keeps the dimensions', () => {
    const graph = decoded({ nodes: [node('ReduceMean', ['x'], ['y'], [attribute('axes', [2, 3])])] });
    expect(graph.nodes.map(({ op }) => op)).toEqual(['GlobalAveragePool']);
    expect(graph.outputs[0].shape).toEqual(['N', 3, 1, 1]);
  });

  test('ReduceMean keeps them in what shapes are computed from, too', () => {
    const graph = decoded({
      nodes: [
        node('ReduceMean', ['w'], ['mean'], [attribute('axes', [1])]),
        node('Shape', ['mean'], ['shape']),
        node('Reshape', ['x', 'shape'], ['y']),
      ],
      initializer: [floats('w', [6, 5], new Array<number>(30).fill(1))],
      shape: [6],
    });
    expect(graph.outputs[0].shape).toEqual([6, 1]);
  });

  test('QuantizeLinear without a zero point is of uint8, with one a scale', () => {
    const pair = (scale: TensorInit) => {
      const graph = decoded({
        nodes: [node('QuantizeLinear', ['x', 's'], ['q']), node('DequantizeLinear', ['q', 's'], ['y'])],
        initializer: [scale],
      });
      return graph.constants.get(graph.nodes[0].inputs[2])!;
    };
    expect(pair(floats('s', [], [0.5]))).toMatchObject({ dtype: 'uint8', shape: [], data: Uint8Array.of(0) });
    expect(pair(floats('s', [3], [0.5, 1, 2]))).toMatchObject({
      dtype: 'uint8',
      shape: [3],
      data: Uint8Array.of(0, 0, 0),
    });
  });

  test('an input of the graph may leave a dimension without a name', () => {
    const graph = decoded({ nodes: [node('Relu', ['x'], ['y'])], shape: ['', 3, 6, 6] });
    expect(graph.inputs[0].shape).toEqual(['x.0', 3, 6, 6]);
  });

  test('Softmax before opset 13 is over axis 1, since then over the last', () => {
    const attributes = (opset: number) =>
      decoded({ nodes: [node('Softmax', ['x'], ['y'])], shape: ['N', 3, 1, 1], opset }).nodes[0].attributes;
    expect(attributes(12)).toEqual({ axis: 1 });
    expect(attributes(13)).toEqual({});
  });
});

describe('rare forms', () => {
  test('Softmax before opset 13 over more than one axis, of which the last alone is larger than 1', () => {
    const reason = refusal({ nodes: [node('Softmax', ['x'], ['y'])], shape: ['N', 3, 6], opset: 11 });
    expect(reason).toMatch(/axes 1 to 2 together/);
  });

  test('constants may be infinite, and NaN beside infinity is found', () => {
    const clip = (high: number[]) => ({
      nodes: [node('Clip', ['x', '', 'high'], ['y'])],
      initializer: [floats('high', high.length === 1 ? [] : [high.length], high)],
    });
    expect(refusal(clip([Infinity]))).toBe('');
    expect(refusal(clip([-Infinity, NaN]))).toMatch(/NaN at index 1/);
  });

  test('an input that is needed cannot be left out in the middle', () => {
    expect(refusal({ nodes: [node('Add', ['', 'x'], ['y'])] })).toMatch(/has 1 inputs, expected 2/);
  });

  test('a Constant of one number has no dimension, one of a list has one', () => {
    const constant = (given: AttributeInit) =>
      decoded({
        nodes: [node('Constant', [], ['c'], [given]), node('Add', ['x', 'c'], ['y'])],
      }).constants.get('c')!;
    expect(constant(floatAttribute('value_float', 0.5))).toMatchObject({ shape: [], dtype: 'float32' });
    const list: AttributeInit = { name: 'value_floats', type: 6, floats: [0.5] };
    expect(constant(list)).toMatchObject({ shape: [1], data: Float32Array.of(0.5) });
  });

  test('a Constant of one integer takes part in the arithmetic of sizes', () => {
    const graph = decoded({
      nodes: [
        node('Constant', [], ['two'], [attribute('value_int', 2)]),
        node('Mul', ['half', 'two'], ['target']),
        node('Reshape', ['x', 'target'], ['y']),
      ],
      initializer: [int64s('half', [1, 54])],
      shape: [2, 3, 6, 6],
    });
    expect(graph.outputs[0].shape).toEqual([2, 108]);
  });

  test('ONNX’s own domain goes by two names', () => {
    const graph = decoded({
      nodes: [node('Relu', ['x'], ['y'], [], { domain: 'ai.onnx' })],
      model: { opsetImport: [{ domain: 'ai.onnx', version: 17n }] },
    });
    expect(graph.nodes[0].op).toBe('Relu');
    expect(graph.opset).toBe(17);
  });

  test('initializers listed among the inputs, as before IR version 4, are none', () => {
    const graph = decoded({
      nodes: [node('Add', ['x', 'w'], ['y'])],
      initializer: [floats('w', [6], [1, 2, 3, 4, 5, 6])],
      graph: { input: [value('x', ['N', 3, 6, 6]), value('w', [6])] },
    });
    expect(graph.inputs.map(({ name }) => name)).toEqual(['x']);
  });

  test('an unsigned integer beyond its type is refused', () => {
    const add = (of: bigint) =>
      refusal({
        nodes: [node('Add', ['x', 'w'], ['y'])],
        initializer: [{ name: 'w', dims: [], dataType: DataType.UINT32, uint64Data: [of] }],
      });
    expect(add(2n ** 32n)).toMatch(/value 4294967296 at index 0 does not fit uint32/);
    expect(add(2n ** 32n - 1n)).toBe('');
  });

  test('two dots inside the name of an external file are no way up', () => {
    const tensor: TensorInit = {
      name: 'w',
      dims: [1n],
      dataType: DataType.FLOAT,
      dataLocation: 1,
      externalData: [{ key: 'location', value: 'w..bin' }],
    };
    const bytes = file({ nodes: [node('Add', ['x', 'w'], ['y'])], initializer: [tensor] });
    const graph = decodeModel(bytes, { externalData: () => new Uint8Array(4) });
    expect(graph.constants.get('w')!.data).toEqual(Float32Array.of(0));
  });

  test('Pad at opset 10 keeps a negative value', () => {
    const pads = attribute('pads', [0, 0, 1, 1, 0, 0, 1, 1]);
    const graph = decoded({
      nodes: [node('Pad', ['x'], ['y'], [pads, floatAttribute('value', -1)])],
      opset: 10,
    });
    const [, pad, constant] = graph.nodes[0].inputs.map((name) => graph.constants.get(name));
    expect([...pad!.data].map(Number)).toEqual([0, 0, 1, 1, 0, 0, 1, 1]);
    expect(constant!.data).toEqual(Float32Array.of(-1));
  });

  test('Dropout that says it is not in training', () => {
    const off = { name: 'off', dims: [], dataType: DataType.BOOL, int32Data: [0] };
    expect(refusal({ nodes: [node('Dropout', ['x', '', 'off'], ['y'])], initializer: [off] })).toBe('');
  });
});

describe('export', () => {
  const relu = (opset: number): Graph => {
    const b = createFloatGraph(1, opset);
    return b.finish(b.relu(b.input('input', ['N', 3])));
  };

  // https://onnx.ai/onnx/repo-docs/Versioning.html
  test.each([
    [10, 5],
    [11, 6],
    [12, 7],
    [14, 7],
    [15, 8],
    [18, 8],
    [19, 9],
    [20, 9],
    [21, 10],
    [22, 10],
    [23, 11],
    [24, 12],
    [25, 13],
  ])('opset %i is written in the IR version that came with it, %i', (opset, irVersion) => {
    expect(fromBinary(ModelProtoSchema, encodeModel(relu(opset))).irVersion).toBe(BigInt(irVersion));
  });

  test.each([
    [21, 0],
    [22, 1],
  ])('a pool with ceil_mode at opset %i declares %i inner values', (opset, declared) => {
    const b = createFloatGraph(2, opset);
    const x = b.maxPool(b.input('input', ['N', 3, 5, 5]), { attributes: { ceil_mode: 1 } });
    const { graph } = fromBinary(ModelProtoSchema, encodeModel(b.finish(b.relu(x))));
    expect(graph!.valueInfo).toHaveLength(declared);
  });
});
