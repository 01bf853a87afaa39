/** docs/errors.md has the messages that people meet, with what to do about each. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as quantizing from '../../src/index-quantize.ts';
import * as octet from '../../src/index.ts';
import { createFloatGraph } from '../support/onnx-models.ts';
import { floats, modelBytes, node, value } from '../support/onnx-proto.ts';
import { createQdqGraph } from '../support/qdq-graph.ts';

interface Row {
  readonly pattern: RegExp;
  readonly remedy: string;
}

const rows = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (message|---)/.test(line))
  .map((line): Row => {
    const [, message, remedy] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const plain = message.replace(/\\([*_<>|])/g, '$1');
    const source = plain.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '[^]*');
    return { pattern: new RegExp(`^${source}$`), remedy };
  });

const qdq = (build: (b: ReturnType<typeof createQdqGraph>) => void) => {
  const b = createQdqGraph();
  build(b);
  return octet.loadModel(b.build(), { backend: 'reference' });
};
const external = modelBytes({
  input: [value('x', ['N', 1, 2, 2])],
  output: [value('y', ['N', 1, 2, 2])],
  node: [node('Add', ['x', 'w'], ['y'])],
  initializer: [
    { ...floats('w', [1], []), dataLocation: 1, externalData: [{ key: 'location', value: 'w.bin' }] },
  ],
});
const floatGraph = () => {
  const b = createFloatGraph(1);
  return b.finish(b.conv(b.input('input', ['N', 3, 4, 4]), 2));
};

test.each<[string, () => unknown]>([
  ['a wrong option', () => octet.loadModel(new Uint8Array(1), { backend: 'cuda' as never })],
  ['a missing member', () => octet.resize({ width: 1, height: 1 } as never, 1, 1)],
  ['a checkpoint', () => quantizing.decodeModel(new TextEncoder().encode('PK\u0003\u0004 and the rest'))],
  ['external weights', () => quantizing.decodeModel(external)],
  ['a float model', () => octet.loadModel(floatGraph(), { backend: 'reference' })],
  [
    'the QOperator format',
    () => qdq((b) => b.output(b.node('QLinearConv', [b.input('x', ['N', 1, 1, 1])]), ['N', 1])),
  ],
  [
    'a Clip with bounds that are computed',
    () =>
      qdq((b) => {
        const x = b.qdq(b.input('x', ['N', 1, 2, 2]), 1, 0);
        b.output(b.qdq(b.node('Clip', [x, x]), 1, 0), ['N', 1, 2, 2]);
      }),
  ],
  ['a huge scale', () => qdq((b) => b.output(b.qdq(b.input('x', ['N', 1, 1, 1]), 3e38, 0), ['N', 1, 1, 1]))],
  ['no picture', () => octet.decodePicture(new TextEncoder().encode('hello'))],
  ['a missing file', () => octet.loadModel('no/such/file.onnx')],
  ['a recipe', () => quantizing.quantizeCalibrated({} as never)],
  [
    'a wrong shape',
    async () =>
      (await quantizing.openFloatSession(floatGraph(), ['conv_0'])).run({
        data: new Float32Array(3),
        shape: [1, 3],
      }),
  ],
])('%s', async (_, call) => {
  const error: unknown = await Promise.resolve()
    .then(call)
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(octet.OctetError);
  const messages =
    error instanceof octet.ModelError
      ? error.problems.map(({ reason }) => reason)
      : (error as Error).message.split('\n');
  for (const message of messages) {
    const row = rows.find(({ pattern }) => pattern.test(message) || pattern.test(`Op "node": ${message}`));
    expect(row, message).toBeDefined();
    expect(row!.remedy).toMatch(/^[A-Z`].{12}/);
  }
});
