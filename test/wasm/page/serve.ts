import { fileURLToPath } from 'node:url';
import { createServer, defaultClientConditions, type ViteDevServer } from 'vite';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Headers of a page that may share memory, and with it start threads. */
export const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Vite serves the page of this folder from the sources. `cache` names what it keeps, one for each server at a time. */
export async function servePage(
  headers: Record<string, string>,
  cache: string,
): Promise<{ server: ViteDevServer; url: string }> {
  const server = await createServer({
    root: path('../../..'),
    configFile: false,
    logLevel: 'error',
    cacheDir: path(`../../../.cache/${cache}`),
    resolve: { conditions: ['octet:source', ...defaultClientConditions] },
    optimizeDeps: { entries: ['test/wasm/page/index.html'] },
    server: { port: 0, host: '127.0.0.1', watch: null, hmr: false, headers },
    appType: 'mpa',
  });
  await server.listen();
  return { server, url: `${server.resolvedUrls!.local[0]}test/wasm/page/index.html` };
}
