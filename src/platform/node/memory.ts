/** Small texts kept in files of the cache directory. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from './cache.ts';
import { removeLeftovers, unfinishedPath } from './leftovers.ts';

function fileOf(key: string): string {
  return join(cacheDirectory(), `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
}

export async function recall(key: string): Promise<string | undefined> {
  try {
    const kept = JSON.parse(await readFile(fileOf(key), 'utf8')) as { key?: unknown; text?: unknown };
    return kept.key === key && typeof kept.text === 'string' ? kept.text : undefined;
  } catch {
    return undefined;
  }
}

export async function remember(key: string, text: string): Promise<void> {
  const file = fileOf(key);
  const part = unfinishedPath(file);
  try {
    await mkdir(join(file, '..'), { recursive: true });
    await removeLeftovers(file);
    await writeFile(part, JSON.stringify({ key, text }));
    await rename(part, file);
  } catch {
    // Nothing is kept: the next run tunes again.
  }
}
