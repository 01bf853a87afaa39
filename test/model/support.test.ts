import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/graph.ts';
import { findObstacles } from '../../src/model/support.ts';
import { convNet, createFloatGraph, floatNets, randomFloatGraph } from '../support/onnx-models.ts';

const none = { problems: [], hostNodes: [] };

describe('findObstacles', () => {
  test.each(Object.entries(floatNets))('finds none in %s', (_, build) => {
    const { problems, hostNodes } = findObstacles(build(3));
    expect(problems).toEqual([]);
    // A softmax that a classifier ends in is in float by design.
    expect(hostNodes.filter(({ reason }) => reason !== 'the network ends in it')).toEqual([]);
  });

  test('finds none in random graphs, which all quantize and run', () => {
    for (let seed = 0; seed < 40; seed++) expect(findObstacles(randomFloatGraph(seed))).toEqual(none);
  });

  const b = createFloatGraph(1);
  const convolved = b.conv(b.input('input', ['N', 3, 'h', 'w']), 2);
  const float = convNet(1);
  test.each<[string, Graph, RegExp]>([
    ['sizes that are not fixed', b.finish(convolved), /sizes that the file leaves open/],
    [
      'inputs that are not float32',
      { ...float, inputs: float.inputs.map((info) => ({ ...info, dtype: 'uint8' })) },
      /only models with float32 inputs/,
    ],
    [
      'weights that are not finite',
      {
        ...float,
        constants: new Map(
          [...float.constants].map(([name, tensor]) => [
            name,
            { ...tensor, data: (tensor.data as Float32Array).map(() => Infinity) },
          ]),
        ),
      },
      /not finite|Infinity/,
    ],
  ])('names %s', (_, graph, reason) => {
    expect(
      findObstacles(graph)
        .problems.map((problem) => problem.reason)
        .join(),
    ).toMatch(reason);
  });

  test('lists what will stay in real numbers, with its reason and its share of the work', () => {
    const b = createFloatGraph(1);
    // More values than a softmax in integers takes.
    const y = b.conv(b.input('input', ['N', 3, 8, 8]), 2052);
    const normalized = b.node('Mul', [b.node('Softmax', [y], { axis: 1 }), y]);
    const { problems, hostNodes } = findObstacles(b.finish(b.conv(normalized, 2)));
    expect(problems).toEqual([]);
    expect(hostNodes).toMatchObject([{ op: 'Softmax', share: 0 }]);
    expect(hostNodes[0].reason).not.toBe('');
  });
});
