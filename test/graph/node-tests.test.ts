/** ONNX's backend node tests of every operator that Octet lists. What they count is in docs/operators.md. */
import { expect, it } from 'vitest';
import { listedNodeTests, readNodeTests, readPassing, runNodeTest } from '../support/node-tests.ts';
import {
  quantizableNodeTests,
  quantizedPath,
  runQuantizedNodeTest,
} from '../support/quantized-node-tests.ts';

const suite = readNodeTests();
const results = listedNodeTests(suite).map((test) => ({ test, result: runNodeTest(test) }));

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

it('quantized on the device, passes what the list says, with the same bytes on WebAssembly', async () => {
  const passed: string[] = [];
  const wrong: string[] = [];
  for (const test of quantizableNodeTests(suite)) {
    const { status, reason } = await runQuantizedNodeTest(test);
    if (status === 'passed') passed.push(test.name);
    if (status === 'wrong') wrong.push(`${test.name}: ${reason}`);
  }
  expect(wrong).toEqual([]);
  expect(passed).toEqual([...readPassing(quantizedPath)]);
}, 120_000);
