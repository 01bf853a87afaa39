/** Files that commands write. */
import { access, constants, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError } from '../errors.ts';
import { describeFileError } from '../platform/node/file-error.ts';
import { removeLeftovers, unfinishedPath } from '../platform/node/leftovers.ts';

/**
 * Throws an InputError where `path` cannot be written, is no ordinary file, or is one of `sources`, which must survive. For before the
 * work, so that nobody waits in vain.
 */
export async function checkWritable(path: string, sources: readonly string[] = []): Promise<void> {
  const folder = dirname(path);
  const isFolder = async (name: string) => (await stat(name).catch(() => undefined))?.isDirectory() === true;
  if (!(await isFolder(folder))) throw new InputError(`cannot write ${path}: there is no folder ${folder}`);
  const target = await stat(path).catch(() => undefined);
  if (target?.isDirectory()) throw new InputError(`cannot write ${path}: it is a folder`);
  if (target && !target.isFile()) {
    throw new InputError(
      `cannot write ${path}: it is a device or a pipe, and would be replaced; name a file`,
    );
  }
  try {
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw new InputError(`cannot write ${path}: ${describeFileError(cause)}`, { cause });
  }
  for (const source of target ? sources : []) {
    // By identity, so that links of both kinds count.
    const { dev, ino } = (await stat(source).catch(() => undefined)) ?? {};
    if (dev === target!.dev && ino === target!.ino) {
      throw new InputError(`cannot write ${path}: that is a file that is read (${source}); name another`);
    }
  }
}

/** Writes beside `path` and renames, so that a file of this name is whole. Throws an InputError where it cannot. */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  const partial = unfinishedPath(path);
  await removeLeftovers(path);
  try {
    await writeFile(partial, data);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw new InputError(`cannot write ${path}: ${describeFileError(cause)}`, { cause });
  }
}
