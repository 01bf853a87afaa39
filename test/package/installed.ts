/** The package as strangers get it: packed, and installed into a fresh folder. `npm test` builds before tests run. */
import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

export interface Installed {
  /** Holds package.json and node_modules/octetjs; the caller removes it. */
  readonly folder: string;
  readonly tarball: string;
}

export async function installPackage(): Promise<Installed> {
  const folder = await mkdtemp(path.join(tmpdir(), 'octet-package-'));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  });
  const tarball = path.join(folder, (JSON.parse(stdout) as { filename: string }[])[0].filename);
  await writeFile(path.join(folder, 'package.json'), '{ "type": "module", "private": true }');
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], { cwd: folder });
  return { folder, tarball };
}
