import path from 'node:path';
import { createServer, defaultClientConditions } from 'vite';

export interface Served {
  readonly origin: string;
  close(): Promise<void>;
}

/** Serves the repository to the benchmark's pages, isolated, so that engines may use threads. */
export async function serve(): Promise<Served> {
  const root = path.resolve(import.meta.dirname, '..');
  const server = await createServer({
    configFile: false,
    root,
    logLevel: 'error',
    appType: 'mpa',
    cacheDir: 'node_modules/.vite-bench',
    resolve: { conditions: ['octet:source', ...defaultClientConditions] },
    // Found while a page runs, a new dependency would reload it.
    optimizeDeps: {
      entries: ['bench/page/*.html'],
      exclude: ['onnxruntime-web'],
    },
    server: {
      host: '127.0.0.1',
      port: 0,
      hmr: false,
      watch: null,
      headers: {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      },
    },
  });
  await server.listen();
  const address = server.httpServer!.address();
  if (address === null || typeof address === 'string') throw new Error('the benchmark server has no port');
  return { origin: `http://127.0.0.1:${address.port}`, close: () => server.close() };
}
