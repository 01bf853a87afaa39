/**
 * Runs ONNX's backend node tests of the operators that Octet lists (`npm run node-tests`). `--reasons` prints why tests are refused, `--write`
 * adds those that pass to the list.
 */
import Table from 'cli-table3';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import {
  byOperator,
  listedNodeTests,
  type NodeTestResult,
  passingPath,
  readNodeTests,
  readPassing,
  runNodeTest,
} from '../test/support/node-tests.ts';

const { values: options } = parseArgs({
  options: { write: { type: 'boolean' }, reasons: { type: 'boolean' } },
});

const suite = readNodeTests();
const results = listedNodeTests(suite).map((test) => ({ test, result: runNodeTest(test) }));

const count = (list: typeof results, status: NodeTestResult['status']) =>
  list.filter(({ result }) => result.status === status).length;

const table = new Table({
  head: ['operator', 'passed', 'refused', 'wrong', 'of'],
  style: { head: [], border: [], compact: true },
});
for (const [op, list] of byOperator(results, ({ test }) => test)) {
  table.push([op, count(list, 'passed'), count(list, 'refused'), count(list, 'wrong'), list.length]);
}
console.log(table.toString());
for (const { test, result } of results) {
  if (result.status === 'wrong' || (options.reasons && result.status === 'refused')) {
    console.log(`${result.status} ${test.name}: ${result.reason}`);
  }
}
const wrong = count(results, 'wrong');
console.log(
  `onnx ${suite.onnx}: ${count(results, 'passed')} of ${results.length} passed, ${count(results, 'refused')} refused, ${wrong} wrong`,
);

if (options.write) {
  const names = new Set(readPassing());
  for (const { test, result } of results) if (result.status === 'passed') names.add(test.name);
  writeFileSync(passingPath, [...names].sort().join('\n') + '\n');
}
if (wrong > 0) process.exitCode = 1;
