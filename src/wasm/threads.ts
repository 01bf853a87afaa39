/** How many threads the WebAssembly backend has. */
import { platform } from '#platform';
import { InputError } from '../errors.ts';

/** More threads than this share a layer in pieces too small to pay. */
const MAX_DEFAULT_THREADS = 8;
/** More than this are a mistake, and would take the machine down before a worker could not be started. */
const MAX_THREADS = 256;

/** @throws {InputError} `asked` is not 1 to 256, or more than 1 where memory cannot be shared */
export function threadCount(asked: number | undefined): number {
  if (asked === undefined) {
    return platform.sharesMemory ? Math.min(platform.cores, MAX_DEFAULT_THREADS) : 1;
  }
  if (!Number.isSafeInteger(asked) || asked < 1 || asked > MAX_THREADS) {
    throw new InputError(`threads must be an integer from 1 to ${MAX_THREADS}, got ${asked}`);
  }
  if (asked > 1 && !platform.sharesMemory) {
    throw new InputError(
      `${asked} threads need shared memory: serve the page cross-origin isolated (COOP same-origin, COEP require-corp), or leave threads at 1`,
    );
  }
  return asked;
}
