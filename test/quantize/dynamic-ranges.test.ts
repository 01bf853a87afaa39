import { describe, expect, it } from 'vitest';
import { withDynamicRanges } from '../../src/quantize/dynamic-ranges.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { runOrt } from '../support/ort.ts';

/** A layer of weights 0.5 and −1, biases 0.25 and `bias`, and a ReLU. */
async function layer(bias: number, x: readonly number[], bits: number): Promise<number[]> {
  const b = createFloatGraph(1);
  const inputs = [
    b.input('x', ['N', 1, 1, 2]),
    b.constant('w', [2, 1, 1, 1], Float32Array.of(0.5, -1)),
    b.constant('b', [2], Float32Array.of(0.25, bias)),
  ];
  const graph = b.finish(b.node('Relu', [b.node('Conv', inputs)]));
  const results = await runOrt(
    withDynamicRanges(graph, bits),
    new Map([['x', Float32Array.from(x)]]),
    x.length / 2,
  );
  return [...([...results.values()][0].data as Float32Array)];
}

describe('withDynamicRanges', () => {
  it('gives the middles of cells: of all parameters, and of what a batch holds', async () => {
    // 2 bits of [−1, 1]: weights ±0.75, biases 0.25 and 0.75. The batch's largest sum is 1.75: cells of 0.4375.
    expect(await layer(1, [1, 2, 0, 0], 2)).toEqual([
      1.09375, 1.53125, 0.21875, 0.21875, 0.21875, 0.21875, 0.65625, 0.65625,
    ]);
    // The same image in a batch of its own has cells of 0.1875.
    expect(await layer(1, [0, 0], 2)).toEqual([0.28125, 0.28125, 0.65625, 0.65625]);
  });

  it('has numbers where no activation is above 0', async () => {
    const values = await layer(-1, [-9, -9], 8);
    expect(values.every(Number.isFinite)).toBe(true);
    const none = await layer(-1, [-0.6, -0.6], 8);
    expect(none.every((value) => value >= 0 && value < 1e-3)).toBe(true);
  });
});
