/** A plain static host for the built site: a folder under a path, nothing else. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
};

export interface StaticServer {
  /** Address of the site, with a slash at its end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Bytes that a slow host sends at once. */
const PIECE = 1 << 20;

/**
 * @param isolated whether the host sends the headers that shared memory needs
 * @param policy Content Security Policy of every answer
 * @param prefix path of the site on the host
 * @param slow ending of files of which the host sends a megabyte at a time, each when `next` has resolved
 */
export async function serveFolder(
  folder: string,
  {
    isolated,
    policy,
    prefix = '/some/folder/',
    slow,
  }: {
    isolated: boolean;
    policy?: string;
    prefix?: string;
    slow?: { readonly ending: string; readonly next: () => Promise<void> };
  },
): Promise<StaticServer> {
  const server: Server = createServer((request, response) => {
    void (async () => {
      const { pathname } = new URL(request.url ?? '/', 'http://localhost');
      const inside = normalize(decodeURIComponent(pathname.slice(prefix.length)) || 'index.html');
      const file = join(folder, inside);
      const info =
        pathname.startsWith(prefix) && !inside.startsWith('..') ? await stat(file).catch(() => null) : null;
      if (!info?.isFile()) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, {
        'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
        'Content-Length': info.size,
        ...(isolated && {
          'Cross-Origin-Opener-Policy': 'same-origin',
          'Cross-Origin-Embedder-Policy': 'require-corp',
        }),
        ...(policy !== undefined && { 'Content-Security-Policy': policy }),
      });
      if (!slow || !file.endsWith(slow.ending)) {
        createReadStream(file).pipe(response);
        return;
      }
      for await (const piece of createReadStream(file, { highWaterMark: PIECE })) {
        await slow.next();
        // Its reader may have left meanwhile.
        if (response.destroyed) return;
        response.write(piece);
      }
      response.end();
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}${prefix}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
