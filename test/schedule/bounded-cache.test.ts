import { expect, test } from 'vitest';
import { BoundedCache } from '../../src/schedule/bounded-cache.ts';

/** A value that tells whether it was disposed of. */
const value = (log: string[], name: string) => ({ name, dispose: () => log.push(name) });
type Value = ReturnType<typeof value>;

test('keeps the most recently used, and disposes of the others', async () => {
  const log: string[] = [];
  const cache = new BoundedCache<Value>(2);
  const use = (name: string) =>
    cache.with(
      name,
      () => value(log, name),
      (got) => Promise.resolve(got.name),
    );
  for (const name of ['a', 'b', 'a', 'c']) expect(await use(name)).toBe(name);
  expect(log).toEqual(['b']);
  cache.dispose();
  expect(log.sort()).toEqual(['a', 'b', 'c']);
});

test('what is in use is disposed of when it is no longer', async () => {
  const log: string[] = [];
  const cache = new BoundedCache<Value>(1);
  const make = (name: string) => () => value(log, name);
  await cache.with('a', make('a'), async () => {
    await cache.with('b', make('b'), () => Promise.resolve());
    expect(log).toEqual([]);
  });
  expect(log).toEqual(['a']);
});

test('what could not be made takes no place, and is made again', async () => {
  const log: string[] = [];
  const cache = new BoundedCache<Value>(1);
  const use = (name: string, make: () => Value = () => value(log, name)) =>
    cache.with(name, make, (got) => Promise.resolve(got.name));
  await use('a');
  const failing = () => {
    throw new Error('no memory');
  };
  await expect(use('b', failing)).rejects.toThrow('no memory');
  expect(log).toEqual([]);
  expect(await use('b')).toBe('b');
  expect(log).toEqual(['a']);
});

test('what is forgotten is made again, and what has taken its place stays', async () => {
  const log: string[] = [];
  const cache = new BoundedCache<Value>(2);
  const first = value(log, 'first');
  const use = (made: Value) =>
    cache.with(
      'a',
      () => made,
      (got) => Promise.resolve(got.name),
    );
  await use(first);
  cache.forget('a', first);
  expect(log).toEqual(['first']);
  expect(await use(value(log, 'second'))).toBe('second');
  cache.forget('a', first);
  expect(await use(value(log, 'third'))).toBe('second');
});
