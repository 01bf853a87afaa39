/** Files that must lie in a model's folder, for good: links are followed before that is decided. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { InputError } from '../../errors.ts';
import { describeFileError } from './file-error.ts';

/**
 * The bytes of the file at `location`, a relative path, in the folder of the file at `model`. Links may lead to
 * files of that folder, and of the one that the model itself is a link into (caches keep both as links into
 * one folder).
 *
 * @throws {InputError} the file lies elsewhere, is no regular file, or cannot be read
 */
export async function readInFolderOf(model: string, location: string): Promise<Uint8Array> {
  const path = join(dirname(model), location);
  let real: string;
  let inside: boolean;
  try {
    real = await realpath(path);
    const folders = [await realpath(dirname(model)), dirname(await realpath(model))];
    inside = folders.some((folder) => contains(folder, real));
    // Reading from a pipe or a device might never end.
    if (inside && (await stat(real)).isFile()) return new Uint8Array(await readFile(real));
  } catch (cause) {
    throw new InputError(`cannot read ${path}: ${describeFileError(cause)}`, { cause });
  }
  throw new InputError(
    inside
      ? `cannot read ${path}: it is no regular file`
      : `cannot read ${path}: it leads out of the model's folder, to ${real}. Copy the file there, or pass its bytes as externalData`,
  );
}

function contains(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
