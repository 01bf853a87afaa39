/** `octet classify --jsonl`: a line in, a line out. And shards of an evaluation, merged. */
import { readFileSync, writeFileSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { classifyLines, readDone } from '../../src/cli/jsonl.ts';
import { readLines } from '../../src/cli/lines.ts';
import { loadModel } from '../../src/model/load.ts';
import type { Model, Prediction } from '../../src/model/model.ts';
import { octet } from './run.ts';
import { useWorkspace } from './workspace.ts';

const path = useWorkspace();
let model: Model;

beforeAll(async () => {
  const made = await octet('quantize', path('float.onnx'), '-c', path('pictures'), '-o', path('int8.onnx'));
  expect(made).toMatchObject({ code: 0 });
  model = await loadModel(path('int8.onnx'), { backend: 'wasm', threads: 1 });
});
afterAll(() => model.dispose());

interface Answer {
  readonly id?: unknown;
  readonly path?: string;
  readonly line?: number;
  readonly error?: string;
  readonly predictions?: readonly Prediction[];
  readonly digest?: string;
}

const parse = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);

async function classify(input: Iterable<Buffer>, done?: AsyncIterable<string>): Promise<string> {
  let text = '';
  const output = new Writable({
    write(chunk: Buffer, _, next) {
      text += chunk.toString();
      next();
    },
  });
  await classifyLines(model, {
    input: Readable.from(input, { objectMode: true }),
    output,
    ...(done && { done }),
    top: 2,
    batch: 3,
    signal: new AbortController().signal,
  });
  return text;
}

const lines = (...texts: string[]) => [Buffer.from(texts.map((text) => `${text}\n`).join(''))];

describe('classify --jsonl', () => {
  test('answers paths, files in base64 and pixels in order, with errors in line', async () => {
    const cat = path('pictures', 'cat', '0.png');
    const image = readFileSync(cat);
    const { data } = await sharp(image).raw().toBuffer({ resolveWithObject: true });
    const answers = parse(
      await classify(
        lines(
          cat,
          JSON.stringify({ id: 7, image: image.toString('base64') }),
          path('nothing.png'),
          JSON.stringify({ id: 'x', pixels: data.toString('base64'), width: 12, height: 12 }),
          '{"path":',
          '',
          JSON.stringify({ path: cat, more: 1 }),
          JSON.stringify({ pixels: 'AAAA', width: 12, height: 12 }),
          path('float.onnx'),
          path('pictures', 'bird', '1.png'),
        ),
      ),
    );
    const truth = await model.classify({ width: 12, height: 12, data: new Uint8Array(data) }, { topK: 2 });
    const right = { predictions: truth.predictions, digest: answers[0].digest };
    expect(answers).toEqual([
      { path: cat, ...right },
      { id: 7, ...right },
      { path: path('nothing.png'), error: expect.stringMatching(/no such file/) as string },
      { id: 'x', ...right },
      { line: 5, error: expect.stringMatching(/not JSON/) as string },
      { line: 6, error: 'the line is empty' },
      { path: cat, error: expect.stringMatching(/an object with path/) as string },
      { line: 8, error: expect.stringMatching(/has 432 \(RGB\)/) as string },
      { path: path('float.onnx'), error: expect.stringMatching(/not a picture/) as string },
      {
        path: path('pictures', 'bird', '1.png'),
        predictions: expect.any(Array) as [],
        digest: expect.any(String) as string,
      },
    ]);
    expect(right.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test('goes on where it was cut off, and nowhere else', async () => {
    const all = ['cat', 'bird'].flatMap((name) =>
      [0, 1, 2, 3].map((i) => path('pictures', name, `${i}.png`)),
    );
    const whole = await classify(lines(...all));
    const half = whole.split('\n').slice(0, 3).join('\n');
    // A process that was killed in the middle of the fourth line.
    writeFileSync(path('out.jsonl'), `${half}\n{"path":"/some`);
    const rest = await classify(lines(...all), readDone(path('out.jsonl')));
    expect(readFileSync(path('out.jsonl'), 'utf8') + rest).toBe(whole);
    await expect(classify(lines(...all.toReversed()), readDone(path('out.jsonl')))).rejects.toThrow(
      /of another list/,
    );
    await expect(classify(lines(all[0]), readDone(path('out.jsonl')))).rejects.toThrow(/of another list/);
  });

  test('lines come out as soon as they are whole, whatever the pieces', async () => {
    const pieces = ['a\nb', 'c\r\n', '', '\n', 'd'.repeat(20), 'e\nlast'].map((text) => Buffer.from(text));
    const seen: unknown[] = [];
    for await (const some of readLines(Readable.from(pieces), 10)) seen.push(some);
    expect(seen).toEqual([['a'], ['bc'], [''], [null], ['last']]);
  });

  test('wrong usage is refused', async () => {
    const model = ['--model', path('int8.onnx')];
    for (const [args, message] of [
      [['classify', ...model], /name the pictures/],
      [['classify', ...model, '--jsonl', 'x.png'], /name none/],
      [['classify', ...model, '--jsonl', '--resume'], /needs --output/],
      [['classify', ...model, '-o', 'x', 'y.png'], /are for --jsonl/],
      [['classify', ...model, '--jsonl', '-o', path('int8.onnx')], /is there already/],
    ] as const) {
      const { code, stderr } = await octet(...args);
      expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    }
  });
});

describe('evaluate --shard and merge', () => {
  test('parts in any order are the whole; parts that do not belong together are refused', async () => {
    const evaluate = async (...rest: string[]) => {
      const { code, stdout, stderr } = await octet(
        ...[
          'evaluate',
          path('float.onnx'),
          path('int8.onnx'),
          '-i',
          path('pictures'),
          '--backend',
          'wasm',
          '--json',
        ],
        ...rest,
      );
      expect([code, stderr]).toEqual([0, expect.any(String)]);
      return stdout;
    };
    writeFileSync(path('whole.json'), await evaluate());
    for (const i of [1, 2, 3]) writeFileSync(path(`part${i}.json`), await evaluate('--shard', `${i}/3`));
    writeFileSync(path('short.json'), await evaluate('--shard', '3/3', '--limit', '7'));
    const parts = [2, 3, 1].map((i) => path(`part${i}.json`));
    const merged = JSON.parse((await octet('merge', ...parts, '--json')).stdout) as object;
    const whole = JSON.parse(readFileSync(path('whole.json'), 'utf8')) as { results: object[] };
    const seconds = { seconds: expect.any(Number) as number };
    expect(merged).toEqual({ ...whole, results: whole.results.map((result) => ({ ...result, ...seconds })) });
    expect((await octet('merge', ...parts)).stdout).toMatch(/8 pictures/);
    for (const [files, message] of [
      [parts.slice(1), /parts 1 to 3 are needed/],
      [[...parts, parts[0]], /once each/],
      [[parts[0], parts[2], path('short.json')], /cannot be merged/],
      [[path('whole.json')], /is not what/],
      [[path('none.json')], /no such file/],
    ] as const) {
      const { code, stderr } = await octet('merge', ...files);
      expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    }
    expect((await octet('evaluate', '--shard', '4/3', '--json')).stderr).toMatch(/i from 1 to n/);
    expect((await octet('evaluate', '--shard', '1/3')).stderr).toMatch(/add --json/);
  });
});
