/** Files that commands write. */
import { access, constants, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InputError } from '../errors.ts';
import { describeFileError } from '../platform/node/file-error.ts';

/**
 * Throws an InputError where `path` cannot be written, or is one of `sources`, which must survive. For before the work, so that nobody
 * waits in vain.
 */
export async function checkWritable(path: string, sources: readonly string[] = []): Promise<void> {
  const folder = dirname(path);
  const isFolder = async (name: string) => (await stat(name).catch(() => undefined))?.isDirectory() === true;
  if (!(await isFolder(folder))) throw new InputError(`cannot write ${path}: there is no folder ${folder}`);
  if (await isFolder(path)) throw new InputError(`cannot write ${path}: it is a folder`);
  try {
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw new InputError(`cannot write ${path}: ${describeFileError(cause)}`, { cause });
  }
  const real = async (name: string) => realpath(name).catch(() => resolve(name));
  const target = await real(path);
  for (const source of sources) {
    if ((await real(source)) === target) {
      throw new InputError(`cannot write ${path}: that is the file that is read; name another`);
    }
  }
}

/** Writes beside `path` and renames, so that a file of this name is whole. Throws an InputError where it cannot. */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await writeFile(partial, data);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw new InputError(`cannot write ${path}: ${describeFileError(cause)}`, { cause });
  }
}
