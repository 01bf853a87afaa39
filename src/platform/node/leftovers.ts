/**
 * Unfinished files and folders: named after the process that makes them, so that the next one can tell those of a killed process from
 * those still in use.
 */
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Where this process puts what is to become `path`. */
export function unfinishedPath(path: string): string {
  return `${path}.${process.pid}.partial`;
}

/** Removes what processes that are no more left unfinished of `path`. Never rejects: what cannot be removed stays. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const pid = /^(\d+)\.partial$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : '')?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
