import { InputError } from '../errors.ts';

/**
 * The address of the file at `location` in the folder of the file at `model`. A query is kept: it may be the
 * signature that opens the folder.
 *
 * @param location a relative path as a model states it: a `%`, `?` or `#` in it is that character
 * @throws {InputError} it would lie outside the folder, or `model` has none (`data:`, `blob:`)
 */
export function neighbourUrl(model: string | URL, location: string): URL {
  const base = new URL(model);
  if (base.pathname.startsWith('/')) {
    const folder = new URL('.', base);
    const url = new URL(location.split('/').map(encodeURIComponent).join('/'), folder);
    if (url.href.startsWith(folder.href)) {
      url.search = base.search;
      return url;
    }
  }
  throw new InputError(
    `there is no external data file "${location}" in the folder of ${base.protocol === 'data:' ? 'a data: URL' : base.href}: ` +
      'pass its bytes as externalData',
  );
}
