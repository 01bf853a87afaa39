/**
 * Runs ONNX's backend node tests of the operators that Octet lists (`npm run node-tests`): in float32, as constant folding and host
 * stages compute, and, of those that run in integers, quantized on the device. `--reasons` prints why tests do not pass, `--write` adds
 * those that pass to the lists.
 */
import Table from 'cli-table3';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  byOperator,
  listedNodeTests,
  passingPath,
  readNodeTests,
  readPassing,
  runNodeTest,
} from '../test/support/node-tests.ts';
import {
  quantizableNodeTests,
  quantizedPath,
  runQuantizedNodeTest,
} from '../test/support/quantized-node-tests.ts';

const { values: options } = parseArgs({
  options: { write: { type: 'boolean' }, reasons: { type: 'boolean' } },
});

const suite = readNodeTests();
const float = new Map(listedNodeTests(suite).map((test) => [test, runNodeTest(test)]));
const quantized = new Map<(typeof suite.tests)[number], Awaited<ReturnType<typeof runQuantizedNodeTest>>>();
for (const test of quantizableNodeTests(suite)) quantized.set(test, await runQuantizedNodeTest(test));

const countOf = (results: Iterable<{ readonly status: string } | undefined>, status: string) =>
  [...results].filter((result) => result?.status === status).length;

const head = ['operator', 'passed', 'refused', 'wrong', 'of', 'quantized', 'of'];
const table = new Table({ head, style: { head: [], border: [], compact: true } });
for (const [op, tests] of byOperator([...float.keys()], (test) => test)) {
  const results = tests.map((test) => float.get(test));
  const own = tests.map((test) => quantized.get(test)).filter((result) => result !== undefined);
  const cells = own.length > 0 ? [countOf(own, 'passed'), own.length] : ['', ''];
  const counts = ['passed', 'refused', 'wrong'].map((status) => countOf(results, status));
  table.push([op, ...counts, tests.length, ...cells]);
}
console.log(table.toString());
for (const [kind, results] of [
  ['', float],
  ['quantized ', quantized],
] as const) {
  for (const [{ name }, result] of results) {
    const isTold = result.status === 'wrong' || (options.reasons && result.status !== 'passed');
    if (isTold && 'reason' in result) console.log(`${kind}${result.status} ${name}: ${result.reason}`);
  }
}
const total = (results: ReadonlyMap<unknown, { readonly status: string }>, statuses: readonly string[]) =>
  statuses.map((status) => `${countOf(results.values(), status)} ${status}`).join(', ');
console.log(`onnx ${suite.onnx}, float32: of ${float.size} ${total(float, ['passed', 'refused', 'wrong'])}`);
console.log(
  `quantized: of ${quantized.size} ${total(quantized, ['passed', 'host', 'refused', 'far', 'wrong'])}`,
);

if (options.write) {
  for (const [path, results] of [
    [passingPath, float],
    [quantizedPath, quantized],
  ] as const) {
    const names = new Set(readPassing(path));
    for (const [{ name }, { status }] of results) if (status === 'passed') names.add(name);
    writeFileSync(path, [...names].sort().join('\n') + '\n');
  }
}
if (countOf(float.values(), 'wrong') + countOf(quantized.values(), 'wrong') > 0) process.exitCode = 1;
