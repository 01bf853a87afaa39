/** Why a file could not be read or written, for people. */
export function describeFileError(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'ENOTDIR') return 'a part of its path is no folder';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'permission denied';
  if (code === 'ENOSPC') return 'no space left on the disk';
  return error instanceof Error ? error.message : String(error);
}
