/** Deno, whose WebGPU is wgpu with naga, as in Firefox: a second implementation beside Chromium's Dawn with Tint. */
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chooseVulkanDriver } from './node-gpu.ts';

const deno = fileURLToPath(new URL('../../node_modules/.bin/deno', import.meta.url));

export interface DenoOptions {
  readonly cwd: string;
  readonly cacheDirectory: string;
  /** Runs TypeScript sources as they are: types are checked elsewhere. */
  readonly sources?: boolean;
  /** The manifest of the Vulkan driver; by default the machine's choice. */
  readonly driver?: string | undefined;
}

/** @returns the last line that `script` prints */
export async function runInDeno(
  script: string,
  args: readonly string[],
  { cwd, cacheDirectory, sources = false, driver }: DenoOptions,
): Promise<string> {
  chooseVulkanDriver();
  const flags = ['--allow-all', '--no-check', '--quiet', ...(sources ? ['--conditions=octet:source'] : [])];
  const env = {
    ...process.env,
    ...(driver && { VK_ICD_FILENAMES: driver }),
    OCTET_CACHE: cacheDirectory,
    // wgpu looks for a window system's sockets with every device, and complains where there can be none.
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir(),
  };
  const { stdout } = await promisify(execFile)(deno, ['run', ...flags, script, ...args], { cwd, env });
  return stdout.trim().split('\n').at(-1);
}
