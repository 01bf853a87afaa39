/**
 * `octet classify --jsonl`: a line in, a line out, in order, for programs that spread lines over machines (Spark's pipe, Ray Data, Beam,
 * GNU parallel).
 */
import { createReadStream } from 'node:fs';
import { open, stat, truncate } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { platform } from '#platform';
import * as v from 'valibot';
import { InputError, OctetError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { describeFileError } from '../platform/node/file-error.ts';
import { digestOf, isClassifier, rank } from '../serve/answers.ts';
import { runUnits, type Unit } from '../serve/units.ts';
import { pictureFromPixels } from '../vision/picture.ts';
import { type Line, readLines } from './lines.ts';

export interface JsonlOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Keys of the lines that are answered already, in order (`readDone`). Default: none. */
  readonly done?: AsyncIterable<string>;
  readonly top: number;
  /** Pictures a run. */
  readonly batch: number;
  readonly signal: AbortSignal;
}

/** 64 MB: a camera picture in base64. */
const MAX_LINE_BYTES = 64e6;
/** Runs at once: while one computes, the next one's pictures are read. */
const RUNS = 2;

const scalar = v.union(
  [v.string(), v.number(), v.boolean(), v.null()],
  'text, a number, a truth value or null',
);
const base64 = v.pipe(v.string('base64 text'), v.base64('base64 text'));
const size = v.pipe(v.number('a number'), v.safeInteger('a whole number'), v.minValue(1, 'at least 1'));
const id = v.optional(scalar);
const requestSchema = v.union(
  [
    v.strictObject({ id, path: v.string() }),
    v.strictObject({ id, image: base64 }),
    v.strictObject({ id, pixels: base64, width: size, height: size }),
  ],
  'an object with path, with image (a file in base64), or with pixels (RGB in base64), width and height; id besides, if any',
);

/** What names a line in its answer. */
type Key = Readonly<Record<'id' | 'path' | 'line', unknown>> | object;

interface Entry {
  readonly key: Key;
  readonly unit: Unit | { readonly error: string };
}

/**
 * Answers every line of `input` with one of `output`: predictions and digest, or the error.
 *
 * @throws {InputError} what is done is not a beginning of the input, or the model is no classifier of pictures
 */
export async function classifyLines(model: Model, options: JsonlOptions): Promise<void> {
  const { input, output, top, batch, signal } = options;
  if (model.inputs.length > 1 || !isClassifier(model.outputs)) {
    throw new InputError(`"${model.name}" is no classifier of pictures`);
  }
  const done = options.done?.[Symbol.asyncIterator]();
  let skipping = done !== undefined;
  let line = 0;
  const pending: Promise<string>[] = [];
  const flush = async (most: number): Promise<void> => {
    while (pending.length > most) await write(output, await pending.shift()!);
  };
  try {
    for await (const lines of readLines(input, MAX_LINE_BYTES)) {
      const entries: (readonly [text: Line, line: number])[] = [];
      for (const text of lines) {
        line++;
        const before = skipping ? await done!.next() : undefined;
        skipping = before?.done === false;
        if (before && !before.done) checkDone(before.value, text, line);
        else entries.push([text, line]);
      }
      for (let start = 0; start < entries.length; start += batch) {
        signal.throwIfAborted();
        await flush(RUNS - 1);
        const answer = answerLines(model, entries.slice(start, start + batch), top, signal);
        // Awaited in its turn.
        answer.catch(() => undefined);
        pending.push(answer);
      }
      await flush(0);
    }
  } finally {
    await Promise.allSettled(pending);
  }
  if (skipping && !(await done!.next()).done) {
    throw new InputError(
      `the output has answers beyond the ${line} lines of the input: it is of another list`,
    );
  }
}

function checkDone(key: string, text: Line, line: number): void {
  const expected = JSON.stringify(keyOf(text, line));
  if (key === expected) return;
  throw new InputError(
    `line ${line} of the output answers ${key}, and line ${line} of the input is ${expected}: the output is of another list`,
  );
}

async function answerLines(
  model: Model,
  lines: readonly (readonly [text: Line, line: number])[],
  top: number,
  signal: AbortSignal,
): Promise<string> {
  const entries = await Promise.all(lines.map(([text, line]) => readEntry(text, line)));
  const units = entries.flatMap(({ unit }) => ('error' in unit ? [] : [unit]));
  const results = (await runUnits(model, units, { signal })).values();
  const answers = entries.map(({ key, unit }) => {
    const result = 'error' in unit ? unit : results.next().value!;
    if ('error' in result) return { ...key, error: result.error };
    const [{ data }] = result.outputs;
    const predictions = rank(model.outputs[0], model.labels, data, top);
    return { ...key, predictions, digest: digestOf([result.outputs]) };
  });
  return answers.map((answer) => `${JSON.stringify(answer)}\n`).join('');
}

/** The members that an answer begins with: the line's `id`, else its path, else its number. */
function keyOf(text: Line, line: number): Key {
  if (text === null || text.trim() === '') return { line };
  if (!isJson(text)) return { path: text };
  try {
    const value = JSON.parse(text) as { id?: unknown; path?: unknown };
    if (v.is(scalar, value.id)) return { id: value.id };
    if (typeof value.path === 'string') return { path: value.path };
  } catch {
    // Its number names it.
  }
  return { line };
}

/** A path may begin with anything else. */
const isJson = (text: string) => text.startsWith('{');

async function readEntry(text: Line, line: number): Promise<Entry> {
  const key = keyOf(text, line);
  try {
    return { key, unit: await readUnit(text) };
  } catch (error) {
    if (!(error instanceof OctetError)) throw error;
    return { key, unit: { error: error.message } };
  }
}

async function readUnit(text: Line): Promise<Unit> {
  if (text === null) throw new InputError(`the line is longer than ${MAX_LINE_BYTES / 1e6} MB`);
  if (text.trim() === '') throw new InputError('the line is empty');
  if (!isJson(text)) return { kind: 'file', bytes: await platform.readFile(text), name: text };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InputError(`the line is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  const { success, output: request } = v.safeParse(requestSchema, value);
  if (!success) throw new InputError(`the line must be a path, or ${requestSchema.message as string}`);
  if ('path' in request) {
    return { kind: 'file', bytes: await platform.readFile(request.path), name: request.path };
  }
  if ('image' in request) return { kind: 'file', bytes: Buffer.from(request.image, 'base64') };
  const pixels = new Uint8Array(Buffer.from(request.pixels, 'base64'));
  return { kind: 'picture', picture: pictureFromPixels(request.width, request.height, pixels) };
}

function write(output: Writable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(text, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * Keys of the answers in a file, for `JsonlOptions.done`. The unfinished last line of a process that was killed is cut off.
 * @throws {InputError} it cannot be read, or holds something else
 */
export async function* readDone(path: string): AsyncGenerator<string> {
  await cutLastLine(path);
  let line = 0;
  for await (const lines of readLines(createReadStream(path), MAX_LINE_BYTES)) {
    for (const text of lines) {
      line++;
      yield answeredKey(text, line, path);
    }
  }
}

function answeredKey(text: Line, line: number, path: string): string {
  try {
    const value = JSON.parse(text!) as Record<string, unknown>;
    for (const name of ['id', 'path', 'line'])
      if (name in value) return JSON.stringify({ [name]: value[name] });
  } catch {
    // Said below.
  }
  throw new InputError(
    `line ${line} of ${path} is no answer of \`octet classify --jsonl\`: resume where one wrote`,
  );
}

async function cutLastLine(path: string): Promise<void> {
  try {
    const { size: bytes } = await stat(path);
    const file = await open(path);
    const block = Buffer.alloc(65_536);
    let end = bytes;
    try {
      while (end > 0) {
        const start = Math.max(0, end - block.length);
        const { bytesRead } = await file.read(block, 0, end - start, start);
        const newline = block.subarray(0, bytesRead).lastIndexOf(10);
        if (newline >= 0) {
          end = start + newline + 1;
          break;
        }
        end = start;
      }
    } finally {
      await file.close();
    }
    if (end < bytes) await truncate(path, end);
  } catch (cause) {
    throw new InputError(`cannot resume ${path}: ${describeFileError(cause)}`, { cause });
  }
}
