/** Forms that few files have, brought to those that the rest of Octet knows: the graph computes what ONNX Runtime makes of the file. */
import { TensorProto_DataType as DataType, AttributeProto_AttributeType as AttributeType } from 'onnx-buf';
import { describe, expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { decodeModel } from '../../src/onnx/decode-model.ts';
import { randomInputs } from '../support/onnx-models.ts';
import {
  attribute,
  type AttributeInit,
  type GraphInit,
  int64s,
  modelBytes,
  node,
  type NodeInit,
  type TensorInit,
  value,
  type ValueInfoInit,
} from '../support/onnx-proto.ts';
import { runOrt } from '../support/ort.ts';

const BATCH = 3;

const graphAttribute = (name: string, g: GraphInit): AttributeInit => ({
  name,
  type: AttributeType.GRAPH,
  g,
});

const scalar = (name: string, number: number): TensorInit => ({ ...int64s(name, [number]), dims: [] });

const unshaped = (name: string): ValueInfoInit => ({
  name,
  type: { value: { case: 'tensorType', value: { elemType: DataType.FLOAT } } },
});

/** A file of one input [N, …sizes] and one output, of no declared shape. */
function fileOf(sizes: readonly number[], nodes: NodeInit[], constants: TensorInit[]): Uint8Array {
  return modelBytes({
    input: [value('x', ['N', ...sizes])],
    output: [unshaped('y')],
    node: nodes,
    initializer: constants,
  });
}

/** Runs the file and its graph in ONNX Runtime; returns the operators that are left. */
async function expectSame(file: Uint8Array): Promise<string[]> {
  const graph = decodeModel(file);
  const inputs = randomInputs(graph, BATCH, 3);
  const expected = (await runOrt(file, inputs, BATCH)).get('y')!;
  const actual = (await runOrt(graph, inputs, BATCH)).get('y')!;
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data).toEqual(expected.data);
  return graph.nodes.map(({ op }) => op);
}

const refusal = (file: Uint8Array): string => {
  try {
    decodeModel(file);
  } catch (error) {
    if (error instanceof ModelError) return error.message;
    throw error;
  }
  return '';
};

describe('If', () => {
  /** As TorchScript writes squeeze(1), with another If in a branch, and a constant of a branch that is called like one around it. */
  const squeezed = (channels: number) =>
    fileOf(
      [channels, 4, 5],
      [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'axis'], ['size'], [attribute('axis', 0)]),
        node('Equal', ['size', 'one'], ['isOne']),
        node(
          'If',
          ['isOne'],
          ['chosen'],
          [
            graphAttribute('then_branch', {
              name: 'then',
              node: [node('ReduceSum', ['x', 'axes'], ['inner'], [attribute('keepdims', 0)])],
              initializer: [int64s('axes', [1])],
              output: [unshaped('inner')],
            }),
            graphAttribute('else_branch', {
              name: 'else',
              node: [
                node('Relu', ['x'], ['inner']),
                node('Not', ['isOne'], ['isMore']),
                node(
                  'If',
                  ['isMore'],
                  ['nested'],
                  [
                    graphAttribute('then_branch', {
                      name: 'a',
                      node: [node('Neg', ['inner'], ['n'])],
                      output: [unshaped('n')],
                    }),
                    graphAttribute('else_branch', {
                      name: 'b',
                      node: [node('Exp', ['inner'], ['n'])],
                      output: [unshaped('n')],
                    }),
                  ],
                ),
              ],
              output: [unshaped('nested')],
            }),
          ],
        ),
        node('Abs', ['chosen'], ['y']),
      ],
      [scalar('axis', 1), scalar('one', 1), int64s('axes', [2])],
    );

  test('is the branch that sizes choose', async () => {
    expect(await expectSame(squeezed(1))).not.toContain('Neg');
    const operators = await expectSame(squeezed(2));
    expect(operators).toEqual(expect.arrayContaining(['Relu', 'Neg']));
    expect(operators).not.toContain('Exp');
  });

  test('whose condition depends on values, or without a branch, is refused', () => {
    const branch = (op: string) => ({
      name: op,
      node: [node(op, ['x'], ['inner'])],
      output: [unshaped('inner')],
    });
    const conditional = (branches: AttributeInit[]) =>
      fileOf(
        [4],
        [
          node('ReduceMax', ['x'], ['largest'], [attribute('keepdims', 0)]),
          node('Cast', ['largest'], ['condition'], [attribute('to', DataType.BOOL)]),
          node('If', ['condition'], ['y'], branches),
        ],
        [],
      );
    const both = [
      graphAttribute('then_branch', branch('Relu')),
      graphAttribute('else_branch', branch('Neg')),
    ];
    expect(refusal(conditional(both))).toMatch(/which branch is taken depends on values/);
    expect(refusal(conditional(both.slice(1)))).toMatch(/attribute then_branch is missing/);
    const unknown = graphAttribute('else_branch', branch('NoSuchOperator'));
    expect(refusal(conditional([both[0], unknown]))).toMatch(/NoSuchOperator .*not supported/);
  });
});

describe('pools of volumes', () => {
  const pool = (op: string, lists: Readonly<Record<string, readonly number[]>>, rest: AttributeInit[] = []) =>
    fileOf(
      [2, 5, 6, 7],
      [
        node(
          op,
          ['x'],
          ['y'],
          [...Object.entries(lists).map(([name, list]) => attribute(name, list)), ...rest],
        ),
      ],
      [],
    );

  test.each([
    ['along the depth', { kernel_shape: [3, 1, 1], pads: [1, 0, 0, 1, 0, 0] }],
    ['along the depth, by steps', { kernel_shape: [2, 1, 1], strides: [2, 1, 1] }],
    ['of each slice', { kernel_shape: [1, 2, 3], strides: [1, 2, 1], pads: [0, 1, 0, 0, 0, 1] }],
  ])('%s', async (_, lists) => {
    await expectSame(pool('MaxPool', lists));
    await expectSame(pool('AveragePool', lists));
    await expectSame(pool('AveragePool', lists, [attribute('count_include_pad', 1)]));
  });

  test('along all axes are refused', () => {
    expect(refusal(pool('AveragePool', { kernel_shape: [2, 2, 2] }))).toMatch(
      /needs an image \[N, C, H, W\]/,
    );
  });
});

describe('views of each image by computed indices', () => {
  const view = (offsets: readonly number[], sizes: readonly number[], stride = 12) =>
    fileOf(
      [3, 4],
      [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'zero'], ['images'], [attribute('axis', 0)]),
        node('Reshape', ['x', 'all'], ['flat']),
        node('Range', ['zero', 'images', 'one'], ['n']),
        node('Mul', ['n', 'stride'], ['first']),
        node('Unsqueeze', ['first', 'behind'], ['firsts']),
        node('Add', ['firsts', 'offsets'], ['indices']),
        node('Gather', ['flat', 'indices'], ['picked'], [attribute('axis', 0)]),
        node('Relu', ['picked'], ['y']),
      ],
      [
        ...[scalar('zero', 0), scalar('one', 1), scalar('stride', stride), int64s('all', [-1])],
        int64s(
          'behind',
          sizes.map((_, i) => i + 1),
        ),
        { ...int64s('offsets', offsets), dims: [1, ...sizes].map(BigInt) },
      ],
    );
  const counting = Array.from({ length: 12 }, (_, i) => i);

  test('are moves, or just shapes', async () => {
    expect(await expectSame(view(counting, [4, 3]))).toEqual(['Reshape', 'Relu']);
    const transposed = counting.map((i) => 4 * (i % 3) + Math.floor(i / 3));
    expect(await expectSame(view(transposed, [4, 3]))).toContain('Gather');
    expect(await expectSame(view([11, 0, 5], [3]))).toContain('Gather');
  });

  test('that reach into another image are left as they are', () => {
    for (const file of [view([12], [1]), view([0], [1], 6)]) {
      expect(decodeModel(file).nodes.map(({ op }) => op)).toContain('Range');
    }
  });
});
