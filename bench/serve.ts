import { mkdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { build, defaultClientConditions } from 'vite';
import { serveFolder } from '../test/support/static-server.ts';
import { tensorflowThreads } from './tensorflow-threads.ts';

export interface Served {
  /** Where the pages, the repository's `models/` and the files that bench/models/ makes are. */
  readonly url: string;
  /** Built files, by the address they are served at. */
  fileOf(address: string): string;
  close(): Promise<void>;
}

/**
 * Builds the benchmark's pages as a site is built, so that engines are fetched as a visitor fetches them, and serves them
 * cross-origin isolated, so that engines may use threads.
 */
export async function serve(): Promise<Served> {
  const root = path.resolve(import.meta.dirname, '..');
  // Two runs at once do not meet.
  const folder = path.join(root, 'build', `bench-${process.pid}`);
  const page = (name: string): string => path.join(root, 'bench/page', `${name}.html`);
  await mkdir(folder, { recursive: true });
  const clean = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await build({
      configFile: false,
      root: path.join(root, 'bench/page'),
      base: './',
      publicDir: false,
      logLevel: 'error',
      resolve: { conditions: ['octet:source', ...defaultClientConditions] },
      worker: { format: 'es' },
      plugins: [tensorflowThreads()],
      build: {
        outDir: folder,
        emptyOutDir: true,
        target: 'es2022',
        assetsInlineLimit: 0,
        chunkSizeWarningLimit: 10_000,
        rolldownOptions: { input: { contender: page('contender'), chart: page('chart') } },
      },
    });
    const links = {
      models: 'models',
      networks: '.cache/networks',
      litert: 'node_modules/@litertjs/core/wasm',
    };
    for (const [name, target] of Object.entries(links)) {
      await symlink(path.join(root, target), path.join(folder, name));
    }
    const server = await serveFolder(folder, { isolated: true });
    return {
      url: server.url,
      fileOf: (address) => path.join(folder, decodeURIComponent(address.slice(server.url.length))),
      async close() {
        await server.close();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}
