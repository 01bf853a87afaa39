/** A plain static host for the built site: a folder under a path, nothing else. */
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { gzipSync } from 'node:zlib';

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

/** A slow connection, shared by all requests. */
export interface Line {
  readonly bytesPerSecond: number;
  /** From a request to the first byte of its answer. */
  readonly latencyMs: number;
}

/** Bytes that a line carries before another request has its turn. */
const PACKET = 1400;

/**
 * @param isolated whether the host sends the headers that shared memory needs
 * @param policy Content Security Policy of every answer
 * @param prefix path of the site on the host
 * @param line what everything goes through: texts gzipped, as hosts send them
 * @param slow ending of files of which the host sends a megabyte at a time, each when `next` has resolved
 */
export async function serveFolder(
  folder: string,
  {
    isolated,
    policy,
    prefix = '/some/folder/',
    line,
    slow,
  }: {
    isolated: boolean;
    line?: Line;
    policy?: string;
    prefix?: string;
    slow?: { readonly ending: string; readonly next: () => Promise<void> };
  },
): Promise<StaticServer> {
  /** When the line has carried all that it was given. */
  let free = 0;
  async function send(bytes: Uint8Array, response: ServerResponse, { bytesPerSecond, latencyMs }: Line) {
    await delay(latencyMs);
    for (let at = 0; at < bytes.length && !response.destroyed; at += PACKET) {
      const packet = bytes.subarray(at, at + PACKET);
      free = Math.max(free, performance.now()) + (packet.length / bytesPerSecond) * 1000;
      await delay(free - performance.now());
      response.write(packet);
    }
    response.end();
  }

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
      const type = TYPES[extname(file)] ?? 'application/octet-stream';
      const packed = line && /text|json|svg/.test(type) ? gzipSync(await readFile(file), { level: 9 }) : null;
      response.writeHead(200, {
        'Content-Type': type,
        'Content-Length': packed?.length ?? info.size,
        ...(packed && { 'Content-Encoding': 'gzip' }),
        ...(isolated && {
          'Cross-Origin-Opener-Policy': 'same-origin',
          'Cross-Origin-Embedder-Policy': 'require-corp',
        }),
        ...(policy !== undefined && { 'Content-Security-Policy': policy }),
      });
      if (line) {
        await send(packed ?? (await readFile(file)), response, line);
        return;
      }
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
