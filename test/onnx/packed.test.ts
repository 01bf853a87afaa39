import { describe, expect, it } from 'vitest';
import type { DType, Graph, Tensor } from '../../src/graph/graph.ts';
import { raiseOpset } from '../../src/graph/passes/raise-opset.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { lower } from '../../src/program/lower.ts';
import { calibrate } from '../../src/quantize/calibrate.ts';
import { quantizeCalibrated } from '../../src/quantize/quantize.ts';
import { convNet, createFloatGraph, randomInputs } from '../support/onnx-models.ts';
import { runOrt } from '../support/ort.ts';

const RANGES = { int4: [-8, 7], uint4: [0, 15], int2: [-2, 1], uint2: [0, 3] } as const;

/** `input · dequantized constant`, the constant of an odd number of elements. */
function packedGraph(dtype: keyof typeof RANGES): Graph {
  const [least, most] = RANGES[dtype];
  const integers = (values: readonly number[]) =>
    dtype.startsWith('u') ? Uint8Array.from(values) : Int8Array.from(values);
  const data = integers(Array.from({ length: 35 }, (_, i) => least + ((5 * i) % (most - least + 1))));
  const tensor = (
    name: string,
    type: DType,
    shape: readonly number[],
    values: Tensor['data'],
  ): [string, Tensor] => [name, { name, dtype: type, shape, data: values }];
  return {
    name: dtype,
    opset: dtype.endsWith('4') ? 21 : 25,
    inputs: [{ name: 'input', dtype: 'float32', shape: [1, 7] }],
    outputs: [{ name: 'output', dtype: 'float32', shape: [1, 5] }],
    nodes: [
      {
        name: 'dq',
        op: 'DequantizeLinear',
        inputs: ['w', 'scale', 'zero'],
        outputs: ['real'],
        attributes: {},
      },
      { name: 'dense', op: 'Gemm', inputs: ['input', 'real'], outputs: ['output'], attributes: {} },
    ],
    constants: new Map([
      tensor('w', dtype, [7, 5], data),
      tensor('scale', 'float32', [], Float32Array.of(0.5)),
      tensor('zero', dtype, [], integers([least + 1])),
    ]),
    values: new Map(),
    metadata: new Map(),
  };
}

describe('weights of 4 and 2 bits', () => {
  for (const dtype of ['int4', 'uint4', 'int2', 'uint2'] as const) {
    it(`are written and read back, and mean to ONNX Runtime what they mean here: ${dtype}`, async () => {
      const graph = packedGraph(dtype);
      const bytes = encodeModel(graph);
      const again = decodeModel(bytes);
      const original = graph.constants.get('w')!;
      const [weights] = [...again.constants.values()].filter(({ data }) => data.length === 35);
      expect([...weights.data].sort()).toEqual([...original.data].sort());
      const input = Float32Array.from({ length: 7 }, (_, i) => i - 2);
      const [result] = (await runOrt(graph, new Map([['input', input]]), 1)).values();
      const zero = Number(graph.constants.get('zero')!.data[0]);
      const expected = Array.from({ length: 5 }, (_, n) =>
        input.reduce((sum, x, k) => sum + x * 0.5 * (Number(original.data[k * 5 + n]) - zero), 0),
      );
      expect([...(result.data as Float32Array)]).toEqual(expected);
    });
  }

  it('are read from typed fields, a byte an entry, and refused where bytes are missing', () => {
    const bytes = encodeModel(packedGraph('int4'));
    // The tag and length of raw_data: 35 elements of 4 bits are 18 bytes.
    const at = bytes.findIndex((byte, i) => byte === 0x4a && bytes[i + 1] === 18);
    expect(at).toBeGreaterThan(0);
    // As int32_data, packed: field 5.
    const typed = bytes.slice();
    typed[at] = 0x2a;
    for (let i = 0; i < 18; i++) typed[at + 2 + i] &= 0x7f;
    const decoded = decodeModel(typed);
    const [weights] = [...decoded.constants.values()].filter(({ data }) => data.length === 35);
    expect(weights.data[0]).toBe(-8);
    // Dimensions 7 and 5 become 7 and 6: 42 elements need 21 bytes.
    const dims = bytes.findIndex(
      (_, i) =>
        String(bytes.subarray(i, i + 4)) === '10,2,7,5' || String(bytes.subarray(i, i + 4)) === '8,7,8,5',
    );
    expect(dims).toBeGreaterThan(0);
    const larger = bytes.slice();
    larger[dims + 3] = 6;
    expect(() => decodeModel(larger)).toThrow(/raw_data has 18 bytes.*needs 21/);
  });

  it('are what few bits are quantized to, with the same integers as int8; older opsets get int8', async () => {
    const float = convNet(61);
    const [data] = randomInputs(float, 8, 1).values();
    const images = [{ data, shape: [8, 3, 12, 12] }];
    const calibration = await calibrate(float, images);
    const recipe = { weights: { bits: 4 }, layers: [{ match: 'conv_4', weights: { bits: 2 } }] };
    const of = (opset: number) => quantizeCalibrated(calibration, { ...recipe, opset });
    const typesOf = (graph: Graph) =>
      ['conv_0', 'conv_4', 'gemm_10'].map((name) => graph.constants.get(`${name}_weight_quantized`)!.dtype);
    const [oldest, middle, newest] = [of(20), of(21), of(25)];
    expect([oldest, middle, newest].map(({ graph }) => graph.opset)).toEqual([17, 21, 25]);
    expect(typesOf(oldest.graph)).toEqual(['int8', 'int8', 'int8']);
    expect(typesOf(middle.graph)).toEqual(['int4', 'int4', 'int4']);
    expect(typesOf(newest.graph)).toEqual(['int4', 'int2', 'int4']);
    expect(newest.report.quantizedBytes).toBeLessThan(middle.report.quantizedBytes);
    expect(encodeModel(newest.graph).length).toBeLessThan(encodeModel(oldest.graph).length);
    const programOf = (graph: Graph) => lower(decodeModel(encodeModel(graph)), builtinOperators);
    const expected = programOf(oldest.graph);
    for (const { graph } of [middle, newest])
      expect(programOf(graph).operations).toEqual(expected.operations);
    const run = async (graph: Graph) =>
      [...(await runOrt(graph, randomInputs(float, 4, 9), 4)).values()][0].data;
    expect(await run(newest.graph)).toEqual(await run(oldest.graph));
  });
});

describe('raiseOpset', () => {
  it('moves axes to an input, and leaves alone what has no later form', () => {
    const b = createFloatGraph(62);
    const mean = b.finish(b.node('ReduceMean', [b.input('input', ['N', 3, 4])], { axes: [2] }));
    const raised = raiseOpset(mean, 21)!;
    expect(raised.opset).toBe(21);
    const [node] = raised.nodes;
    expect(node.attributes).toEqual({});
    expect([...raised.constants.get(node.inputs[1])!.data]).toEqual([2n]);
    expect(raiseOpset(mean, 13)).toBe(mean);
    const c = createFloatGraph(63);
    expect(
      raiseOpset(c.finish(c.node('Split', [c.input('input', ['N', 4])], { axis: 1 })), 21),
    ).toBeUndefined();
  });
});
