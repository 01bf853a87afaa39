/** ONNX's backend node tests of every operator that Octet lists. What they count is in docs/operators.md. */
import { expect, it } from 'vitest';
import { listedNodeTests, readNodeTests, readPassing, runNodeTest } from '../support/node-tests.ts';

const results = listedNodeTests(readNodeTests()).map((test) => ({ test, result: runNodeTest(test) }));

it('gives no wrong answer', () => {
  const wrong = results.flatMap(({ test, result }) =>
    result.status === 'wrong' ? [`${test.name}: ${result.reason}`] : [],
  );
  expect(wrong).toEqual([]);
});

it('passes what the list says, and the list says what passes (`npm run node-tests -- --write`)', () => {
  const passed = results.flatMap(({ test, result }) => (result.status === 'passed' ? [test.name] : []));
  expect(passed).toEqual([...readPassing()]);
});
