/** `--shard i/n`: parts of a data set that several machines evaluate, and what says that they belong together. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import type { LabelledPicture } from '../model/evaluate.ts';
import { DEFAULT_MODEL } from './options.ts';

export interface Shard {
  /** From 1. */
  readonly index: number;
  readonly count: number;
}

/** What a part says of the whole, beside its results. */
export interface Part {
  readonly shard: Shard;
  /** Pictures of all parts. */
  readonly pictures: number;
  /** SHA-256 of the labels of all pictures, in order. */
  readonly labels: string;
  /** SHA-256 of each model file. */
  readonly models: readonly string[];
}

export function parseShard(text: string): Shard {
  const [, index, count] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number);
  if (!(index >= 1 && index <= count)) {
    throw new InvalidArgumentError('It must be i/n with i from 1 to n, such as 2/4.');
  }
  return { index, count };
}

/** The pictures of a part: a run of neighbours, so that parts in order are the whole in order. */
export function partOf<T>(all: readonly T[], { index, count }: Shard): readonly T[] {
  const edge = (position: number) => Math.floor((all.length * position) / count);
  return all.slice(edge(index - 1), edge(index));
}

export async function describePart(
  shard: Shard,
  paths: readonly string[],
  all: readonly LabelledPicture[],
): Promise<Part> {
  const models = paths.length > 0 ? paths : [DEFAULT_MODEL];
  return {
    shard,
    pictures: all.length,
    labels: sha256(all.map(({ label }) => label).join()),
    models: await Promise.all(models.map(async (path) => sha256(await readFile(path)))),
  };
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
