/** The public API where a mistake would show in numbers that nobody looks at twice. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { LoadedModel } from '../../src/model/loaded-model.ts';
import { inferShapes } from '../../src/graph/infer-shapes.ts';
import { builtinOperators } from '../../src/ops/more-operators.ts';
import { createOperatorRegistry } from '../../src/ops/registry.ts';
import { lower } from '../../src/program/lower.ts';
import type { BinaryOperation, IntegerProgram } from '../../src/program/program.ts';
import { createReferenceSession } from '../../src/reference/session.ts';
import { createQdqGraph } from '../support/qdq-graph.ts';
import { createProgramBuilder, rescaleBy } from '../support/program-builder.ts';

const operators = createOperatorRegistry();

const load = (program: IntegerProgram): LoadedModel =>
  new LoadedModel({
    program,
    operators,
    session: createReferenceSession(program, operators),
    backendReason: 'for a test',
    labels: [],
    preprocessing: { mean: [0, 0, 0], std: [1, 1, 1] },
  });

describe('two inputs', () => {
  const builder = createProgramBuilder();
  const [first, second] = [builder.input([1, 1, 4]), builder.input([1, 1, 4])];
  builder.emit<BinaryOperation>({
    kind: 'binary',
    function: 'sum',
    name: 'sum',
    inputs: [first.id, second.id],
    output: builder.tensor([1, 1, 4]).id,
    rescale: rescaleBy([1, 1], [0, 0], 0),
  });
  const program = builder.build('sum of two');

  test.each([
    [1, 2],
    [2, 1],
  ])('of batches of %i and %i are refused', async (a, b) => {
    using model = load(program);
    const inputs = { t0: new Int8Array(4 * a), t1: new Int8Array(4 * b) };
    const error: unknown = await model.run(inputs).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toBe(`input "t1" is a batch of ${b}, the inputs before it of ${a}`);
  });

  test('of one batch are added', async () => {
    using model = load(program);
    const inputs = { t0: new Int8Array(8).fill(3), t1: new Int8Array(8).fill(4) };
    const tensors = await model.values(inputs, { tensors: ['t2'] });
    expect(tensors.get('t2')!.data).toEqual(new Int8Array(8).fill(7));
  });
});

describe('a classifier that ends in a softmax', () => {
  const ending = (activation: 'softmax' | 'none'): IntegerProgram => {
    const b = createQdqGraph();
    const x = b.qdq(b.input('x', ['N', 3, 1, 1]), 1 / 255, -128);
    const weights = b.dq([3, 3, 1, 1], Int8Array.of(4, 0, 0, 0, 4, 0, 0, 0, 4), 1);
    const logits = b.node('Flatten', [b.node('Conv', [x, weights])]);
    b.output(activation === 'softmax' ? b.node('Softmax', [logits]) : logits, ['N', 3]);
    return lower(inferShapes(b.build()), builtinOperators, { host: false });
  };
  const picture = { width: 1, height: 1, data: Uint8Array.of(255, 0, 51) };

  test('gives the probabilities that it computes, as one that ends in logits does', async () => {
    using model = load(ending('softmax'));
    using logits = load(ending('none'));
    const { outputs } = await model.run({ x: picture });
    const [{ data: shares }] = Object.values(outputs);
    const sum = [4, 0, 0.8].reduce((total, logit) => total + Math.exp(logit), 0);
    expect(shares[0]).toBeCloseTo(Math.exp(4) / sum, 6);
    for (const each of [model, logits]) {
      const { predictions } = await each.classify(picture);
      expect(predictions.map(({ index }) => index)).toEqual([0, 2, 1]);
      for (const { index, probability } of predictions) {
        expect(probability).toBeCloseTo(shares[index], 6);
      }
    }
  });

  test('is profiled in billions of multiply-adds a second', async () => {
    using model = load(ending('none'));
    const { operations } = await model.profile({ batch: 100, repetitions: 3 });
    const [{ macs, ms, gmacsPerSecond }] = operations;
    expect(macs).toBe(900);
    expect(ms).toBeGreaterThan(0);
    expect(gmacsPerSecond / (macs / 1e9 / (ms / 1000))).toBeCloseTo(1, 9);
  });
});
