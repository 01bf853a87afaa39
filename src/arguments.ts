/**
 * The check of arguments at the public door: a schema says what a caller may give, and everything that differs from it is named in one
 * InputError. Callers without TypeScript get the same answer as those with it.
 */
import * as v from 'valibot';
import { InputError } from './errors.ts';

/**
 * Checks the arguments of one call. They are only looked at: what is used afterwards is what the caller gave.
 *
 * @param call name of the function, for the message
 * @param schemas of the arguments by name; the message of each part says what is expected there
 * @throws {InputError} every argument that is wrong: its path, what was expected, what was given
 */
export function check(
  call: string,
  schemas: Readonly<Record<string, v.GenericSchema>>,
  values: Readonly<Record<string, unknown>>,
): void {
  const { issues } = v.safeParse(v.object(schemas), values);
  if (!issues) return;
  const lines = issues.slice(0, MAX_ISSUES).map((issue) => describeIssue(call, issue));
  if (issues.length > MAX_ISSUES) lines.push(`… and ${issues.length - MAX_ISSUES} more`);
  throw new InputError(lines.join('\n'));
}

/** A list of ten thousand wrong entries must not make a message of ten thousand lines. */
const MAX_ISSUES = 8;

function describeIssue(call: string, { path, type, message, expected, input }: v.BaseIssue<unknown>): string {
  const keys: readonly { readonly key: unknown }[] = path ?? [];
  const where = keys.reduce<string>((text, { key }) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text ? `${text}.${String(key)}` : String(key);
  }, '');
  // A member that is not there: the message is that of the object around it.
  if (type === 'object' && expected?.startsWith('"')) return `${call}: ${where} is missing`;
  return `${call}: ${where} must be ${message}, got ${describeValue(input)}`;
}

/** A value of any type in a few words. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'bigint') return `${String(value).slice(0, 40)}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const { constructor } = value;
  return typeof constructor === 'function' && constructor !== Object
    ? `an object of type ${constructor.name}`
    : 'an object';
}

const anyFunction = (value: unknown) => typeof value === 'function';

/** An object with these methods. Not `instanceof`: the caller's may be of another realm, or their own. */
export function withMethods<T>(expected: string, ...methods: readonly string[]): v.GenericSchema<T> {
  return v.custom<T>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((name) => anyFunction((value as Record<string, unknown>)[name])),
    expected,
  );
}

/** What can be looped over with `for await`. */
export const iterable = v.custom<Iterable<unknown> | AsyncIterable<unknown>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !ArrayBuffer.isView(value) &&
    [Symbol.iterator, Symbol.asyncIterator].some((key) =>
      anyFunction((value as Record<symbol, unknown>)[key]),
    ),
  'an iterable or async iterable',
);

export const fn = v.custom<(...args: never) => unknown>(anyFunction, 'a function');
export const text = v.string('a string');
export const texts = v.array(text, 'an array of strings');
export const flag = v.boolean('true or false');

/** A whole number from `low` to `high`. */
export function integer(
  low: number,
  high = Number.MAX_SAFE_INTEGER,
  expected?: string,
): v.GenericSchema<number> {
  const words = expected ?? `a whole number from ${low} to ${high}`;
  return v.custom<number>(
    (value) => Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high,
    words,
  );
}

export const count = integer(1, undefined, 'a positive integer');
export const index = integer(0, undefined, 'an integer, 0 or more');
export const finite = v.custom<number>(Number.isFinite, 'a finite number');

/** Whether the memory behind a typed array was transferred elsewhere: it then looks like an empty one. */
function isDetached(array: Uint8Array): boolean {
  try {
    array.at(0);
    return false;
  } catch {
    return true;
  }
}

/** Numbers in an array or a typed array (bigints are none). */
export const numbers = v.custom<ArrayLike<number>>(
  (value) =>
    Array.isArray(value)
      ? value.every((item) => typeof item === 'number')
      : isTypedArray(value) && !isDetached(value) && typeof (value as ArrayLike<unknown>)[0] !== 'bigint',
  'an array or typed array of numbers',
);

/** uint8 data. */
export const byteArray = v.custom<Uint8Array | Uint8ClampedArray>(
  (value) =>
    (value instanceof Uint8Array || value instanceof Uint8ClampedArray) && !isDetached(value as Uint8Array),
  'a Uint8Array or Uint8ClampedArray whose memory is here',
);

function isTypedArray(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

export function oneOf<const T extends readonly string[]>(...values: T): v.GenericSchema<T[number]> {
  return v.picklist(values, `one of ${values.join(', ')}`);
}

/** An object of which these members are looked at; all of them may be left out. */
export function options<T extends v.ObjectEntries>(entries: T): v.GenericSchema {
  const optional = Object.entries(entries).map(([key, schema]) => [key, v.optional(schema)] as const);
  return v.optional(v.object(Object.fromEntries(optional), 'an object'));
}

/** The members of `AsyncOptions`. */
export const asyncOptions = {
  signal: withMethods<AbortSignal>('an AbortSignal', 'throwIfAborted', 'addEventListener'),
  onProgress: fn,
};
