/** Forms of opsets 7 to 10: ONNX Runtime gives the same for the old file and for what Octet makes of it. */
import { expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { encodeModel } from '../../src/onnx/encode.ts';
import {
  attribute,
  floats,
  int64s,
  modelBytes,
  node,
  type NodeInit,
  type TensorInit,
  value,
} from '../support/onnx-proto.ts';
import { relativeDifference, runOrt } from '../support/ort.ts';
import { createRandom } from '../support/random.ts';

const random = createRandom(3);
const x = Float32Array.from({ length: 2 * 3 * 4 * 5 }, () => random.next() - 0.5);

const floatList = (name: string, list: readonly number[]) => ({ name, type: 6, floats: [...list] });
const perChannel = (names: string) => [...names].map((name) => floats(name, [3], [0.5, 1.5, 0.25]));

const file = (opset: number, nodes: NodeInit[], initializer: TensorInit[], shape: readonly number[]) =>
  modelBytes(
    {
      input: [value('x', [2, 3, 4, 5])],
      output: [value('y', shape)],
      node: nodes,
      initializer,
    },
    opset,
    { irVersion: 5n },
  );

const upsample = (scales: readonly number[], mode: string) =>
  node('Upsample', ['x'], ['y'], [floatList('scales', scales), attribute('mode', mode)]);

const resized = (op: string, mode: string) => node(op, ['x', 'scales'], ['y'], [attribute('mode', mode)]);

test.each<[string, number, NodeInit[], TensorInit[], number[]]>([
  [
    'Slice by attributes',
    9,
    [
      node(
        'Slice',
        ['x'],
        ['y'],
        [attribute('starts', [1, -4]), attribute('ends', [3, 1000]), attribute('axes', [1, 3])],
      ),
    ],
    [],
    [2, 2, 4, 4],
  ],
  [
    'TopK by an attribute',
    9,
    [node('TopK', ['x'], ['y', 'places'], [attribute('k', 2), attribute('axis', 3)])],
    [],
    [2, 3, 4, 2],
  ],
  [
    'BatchNormalization that says it is spatial',
    7,
    [node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y'], [attribute('spatial', 1)])],
    perChannel('sbmv'),
    [2, 3, 4, 5],
  ],
  ['Upsample, nearest', 7, [upsample([1, 1, 2, 3], 'nearest')], [], [2, 3, 8, 15]],
  ['Upsample, linear', 7, [upsample([1, 1, 2, 2], 'linear')], [], [2, 3, 8, 10]],
  [
    'Upsample by an input',
    9,
    [resized('Upsample', 'nearest')],
    [floats('scales', [4], [1, 1, 1.5, 2])],
    [2, 3, 6, 10],
  ],
  [
    'Resize of opset 10 to less',
    10,
    [resized('Resize', 'nearest')],
    [floats('scales', [4], [1, 1, 0.5, 0.6])],
    [2, 3, 2, 3],
  ],
  [
    'Resize of opset 10, linear',
    10,
    [resized('Resize', 'linear')],
    [floats('scales', [4], [1, 1, 2.5, 0.8])],
    [2, 3, 10, 4],
  ],
  ['Dropout with a mask', 7, [node('Dropout', ['x'], ['y', 'mask'])], [], [2, 3, 4, 5]],
  [
    'Softmax over all that is behind the axis',
    9,
    [node('Reshape', ['x', 'rows'], ['r']), node('Softmax', ['r'], ['y'], [attribute('axis', 1)])],
    [int64s('rows', [6, 20])],
    [6, 20],
  ],
])('%s', async (_, opset, nodes, initializer, shape) => {
  const bytes = file(opset, nodes, initializer, shape);
  const inputs = new Map([['x', x]]);
  const before = (await runOrt(bytes, inputs, 2)).get('y')!;
  const graph = decodeModel(bytes);
  const after = (await runOrt(encodeModel(graph), inputs, 2)).get('y')!;
  expect(graph.values.get('y')?.shape).toEqual([...before.shape]);
  expect(relativeDifference(after.data as Float32Array, before.data as Float32Array)).toBeLessThan(1e-6);
});

test.each<[string, NodeInit, TensorInit[], RegExp]>([
  [
    'statistics a pixel',
    node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y'], [attribute('spatial', 0)]),
    perChannel('sbmv'),
    /spatial = 0/,
  ],
  [
    'larger here and smaller there',
    upsample([1, 1, 2, 0.5], 'nearest'),
    [],
    /makes some axes larger and others smaller/,
  ],
])('%s is refused', (_, refused, initializer, reason) => {
  expect(() => decodeModel(file(7, [refused], initializer, [2, 3, 4, 5]))).toThrow(reason);
  expect(() => decodeModel(file(7, [refused], initializer, [2, 3, 4, 5]))).toThrow(ModelError);
});
