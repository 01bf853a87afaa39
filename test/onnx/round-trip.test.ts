import { readFileSync } from 'node:fs';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { ModelProtoSchema, TensorProto_DataType as DataType } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { optimize } from '../../src/graph/passes/optimize.ts';
import {
  concatNet,
  convNet,
  createFloatGraph,
  randomFloatGraph,
  randomInputs,
  shuffleNet,
} from '../support/onnx-models.ts';
import { attribute, floatAttribute, floats, modelBytes, node, value } from '../support/onnx-proto.ts';
import { swirl as swirlOperator } from '../support/swirl.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';

const vgg16 = readFileSync(new URL('../../models/vgg16-cifar10.onnx', import.meta.url));

/** Extras are wire bytes, whose comparison byte by byte is slow in a test runner for large models. */
function expectEqual(actual: Graph, expected: Graph): void {
  const parts = (graph: Graph) => ({ ...graph, constants: null });
  expect(parts(actual)).toEqual(parts(expected));
  expect([...actual.constants.keys()]).toEqual([...expected.constants.keys()]);
  for (const [name, tensor] of expected.constants) {
    const other = actual.constants.get(name)!;
    expect([other.dtype, other.shape, other.extras]).toEqual([tensor.dtype, tensor.shape, tensor.extras]);
    const bytes = ({ data }: typeof tensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    expect(bytes(other).equals(bytes(tensor)), name).toBe(true);
  }
}

describe('decode, encode, decode gives the same graph', () => {
  test('for random graphs', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
        const graph = decodeModel(encodeModel(randomFloatGraph(seed)));
        expectEqual(decodeModel(encodeModel(graph)), graph);
      }),
      { seed: 5, numRuns: 50 },
    );
  });

  test('for VGG16, as decoded and as optimized, with its metadata', () => {
    const graph = decodeModel(vgg16);
    expectEqual(decodeModel(encodeModel(graph)), graph);
    expect(graph.metadata.get('labels')).toMatch(/^airplane,automobile/);
    expect(graph.constants.size).toBe(13 * 2 + 13 * 4 + 6);
    const optimized = optimize(graph);
    expectEqual(decodeModel(encodeModel(optimized)), optimized);
  });

  test('for every element type', () => {
    const b = createFloatGraph(1);
    const x = b.input('x', ['N', 2]);
    const graph = b.finish(b.relu(x));
    const constants = new Map(graph.constants);
    const nodes = [...graph.nodes];
    const add = (dtype: Graph['inputs'][number]['dtype'], data: Int8Array | Uint8Array | Int32Array) => {
      constants.set(dtype, { name: dtype, dtype, shape: [2], data });
      constants.set(`${dtype}.scale`, {
        name: `${dtype}.scale`,
        dtype: 'float32',
        shape: [],
        data: Float32Array.of(0.5),
      });
      nodes.push({
        name: dtype,
        op: 'DequantizeLinear',
        inputs: [dtype, `${dtype}.scale`],
        outputs: [`${dtype}.real`],
        attributes: {},
      });
    };
    add('int8', Int8Array.of(-128, 127));
    add('uint8', Uint8Array.of(0, 255));
    add('int32', Int32Array.of(-(2 ** 31), 2 ** 31 - 1));
    const outputs = ['int8', 'uint8', 'int32'].map((dtype) => ({
      name: `${dtype}.real`,
      dtype: 'float32' as const,
      shape: [2],
    }));
    const quantized = decodeModel(
      encodeModel({ ...graph, nodes, constants, outputs: [...graph.outputs, ...outputs] }),
    );
    expectEqual(decodeModel(encodeModel(quantized)), quantized);
    expect([...quantized.constants.get('int32')!.data]).toEqual([-(2 ** 31), 2 ** 31 - 1]);
  });
});

test('what Octet does not interpret survives: documentation, annotations, other domains, unknown fields', () => {
  const bytes = modelBytes(
    {
      input: [{ ...value('x', ['N', 3]), docString: 'the input' }],
      output: [value('y', [])],
      initializer: [{ ...floats('w', [3], [1, 2, 3]), docString: 'a weight' }],
      node: [
        node('Add', ['x', 'w'], ['a'], [], {
          docString: 'a sum',
          metadataProps: [{ key: 'pkg', value: 'torch' }],
        }),
        node('Swirl', ['a'], ['y'], [floatAttribute('angle', 2), attribute('turns', 3)], {
          domain: 'com.example',
        }),
      ],
      valueInfo: [{ ...value('a', ['N', 3]), docString: 'a value' }],
      docString: 'a graph',
      quantizationAnnotation: [
        { tensorName: 'a', quantParameterTensorNames: [{ key: 'SCALE_TENSOR', value: 's' }] },
      ],
    },
    17,
    {
      docString: 'a model',
      modelVersion: 7n,
      opsetImport: [
        { domain: '', version: 17n },
        { domain: 'com.example', version: 3n },
      ],
    },
  );
  const model = fromBinary(ModelProtoSchema, bytes);
  // A field number that no ONNX version has given out, in the model and in a node.
  const unknown = [{ no: 1000, wireType: 2, data: Uint8Array.of(3, 1, 2, 3) }];
  model.$unknown = unknown;
  model.graph!.node[0].$unknown = unknown;

  const decoded = decodeModel(toBinary(ModelProtoSchema, model), { operators: [swirlOperator] });
  const back = fromBinary(ModelProtoSchema, encodeModel(decoded));
  expect(back).toMatchObject({
    docString: 'a model',
    modelVersion: 7n,
    producerName: 'octet',
    opsetImport: model.opsetImport,
    $unknown: unknown,
  });
  expect(back.graph).toMatchObject({
    docString: 'a graph',
    quantizationAnnotation: model.graph!.quantizationAnnotation,
  });
  const [add, swirl] = model.graph!.node;
  expect(back.graph!.node).toEqual([
    { ...add, name: 'Add_0' },
    { ...swirl, name: 'com.example.Swirl_1' },
  ]);
  expect(back.graph!.input[0].docString).toBe('the input');
  expect(back.graph!.initializer[0].docString).toBe('a weight');
  expect(back.graph!.valueInfo[0].docString).toBe('a value');
});

describe('ONNX Runtime reads what the encoder writes', () => {
  test.each([13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25])('at opset %i', async (opset) => {
    for (const graph of [convNet(1), concatNet(2)]) {
      const inputs = randomInputs(graph, 2, 3);
      const reference = await runOrt(graph, inputs, 2);
      const output = graph.outputs[0].name;
      const { data } = (await runOrt({ ...graph, opset }, inputs, 2)).get(output)!;
      expect(
        relativeDifference(data as Float32Array, reference.get(output)!.data as Float32Array),
      ).toBeLessThan(1e-6);
    }
  });
});

test('splits and channel shuffles compute what they did before they were read', async () => {
  const bytes = encodeModel(shuffleNet(3));
  const graph = decodeModel(bytes);
  expect(graph.nodes.filter(({ op }) => ['Split', 'Transpose', 'Reshape'].includes(op))).toEqual([]);
  const inputs = randomInputs(graph, 3, 4);
  const [actual, expected] = [await runOrt(graph, inputs, 3), await runOrt(bytes, inputs, 3)].map(
    (outputs) => outputs.get('logits')!.data as Float32Array,
  );
  expect(relativeDifference(actual, expected)).toBeLessThan(1e-6);
});

test('half floats are narrowed to nearest, ties to even', () => {
  const b = createFloatGraph(1);
  const graph = b.finish(b.node('Add', [b.input('x', ['N', 4]), 'w']));
  for (const [dtype, dataType, expected] of [
    ['float16', DataType.FLOAT16, [0x3c00, 0x3c02, 0x7c00, 0x0001]],
    ['bfloat16', DataType.BFLOAT16, [0x3f80, 0x3f80, 0x4780, 0x33c0]],
  ] as const) {
    // Ties below and above, overflow of float16, the tie that rounds up to float16's smallest subnormal.
    const data = Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 65520, 1.5 * 2 ** -24);
    const constants = new Map([['w', { name: 'w', dtype, shape: [4], data }]]);
    const [tensor] = fromBinary(ModelProtoSchema, encodeModel({ ...graph, constants })).graph!.initializer;
    expect(tensor.dataType).toBe(dataType);
    const bits = new Uint16Array(tensor.rawData.slice().buffer);
    if (dtype === 'float16')
      expect([...bits.slice(0, 3), bits[3]]).toEqual([...expected.slice(0, 3), 0x0002]);
    else expect([...bits]).toEqual(expected);
  }
});
