import { createServer } from 'node:http';
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import sirv from 'sirv';
import { platform } from '#platform';
import { InputError } from '../errors.ts';
import { readGraph } from '../model/source.ts';
import { openModel } from '../onnx/decode.ts';
import { encodeModel } from '../onnx/encode.ts';
import type { CommandContext } from './context.ts';
import { portNumber } from './options.ts';
import { print } from './output.ts';

interface OpenCommandOptions {
  readonly site?: string;
  readonly port: number;
}

/** Where the page looks for the model (demo/start.ts). */
const SERVED = '/served/';

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument('<model>', 'ONNX file, float or quantized')
    .option(
      '--site <folder>',
      'the built page (default: build/site of the checkout that this command is from)',
    )
    .option('--port <n>', 'on localhost; 0: any that is free', portNumber, 0)
    .action(async (path: string, { site, port }: OpenCommandOptions) => {
      const folder = await siteFolder(site);
      const name = basename(path.replace(/[?#].*$/, ''));
      const bytes = await modelBytes(path, signal);
      // Shared memory, for threads, takes these two headers.
      const isolation = {
        'Cross-Origin-Opener-Policy': 'same-origin',
        'Cross-Origin-Embedder-Policy': 'require-corp',
      };
      const files = sirv(folder, {
        setHeaders(response) {
          for (const [header, value] of Object.entries(isolation)) response.setHeader(header, value);
        },
      });
      const server = createServer((request, response) => {
        const { pathname } = new URL(request.url ?? '/', 'http://localhost');
        if (pathname === `${SERVED}${encodeURIComponent(name)}`) {
          response.writeHead(200, {
            ...isolation,
            'Content-Type': 'application/octet-stream',
            'Content-Length': bytes.length,
            'Cache-Control': 'no-store',
          });
          response.end(bytes);
          return;
        }
        files(request, response, () => {
          response.writeHead(404, isolation).end();
        });
      });
      // Of this machine alone: the page computes here, and nothing of the model leaves it.
      await new Promise<void>((resolve, reject) => {
        server.once('error', (cause) =>
          reject(new InputError(`cannot listen on port ${port}: ${cause.message}`, { cause })),
        );
        server.listen(port, '127.0.0.1', resolve);
      });
      const { port: own } = server.address() as AddressInfo;
      print(`${path} is open at http://localhost:${own}/?open=${encodeURIComponent(name)} (Ctrl-C ends)`);
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
        process.once('SIGTERM', resolve);
        if (signal.aborted) resolve();
      });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
}

/** @throws {InputError} no built page is there; the message says how to make one */
async function siteFolder(given: string | undefined): Promise<string> {
  const root = dirname(createRequire(import.meta.url).resolve('octetjs/package.json'));
  const folder = given ?? join(root, 'build/site');
  if (await stat(join(folder, 'index.html')).catch(() => undefined)) return folder;
  throw new InputError(
    given === undefined
      ? `the page is not built, and the npm package is without it: in a checkout of Octet run "npm install" and "npm run build:site", then "npx octet open" there, or pass its build/site as --site`
      : `${folder} holds no built page: "npm run build:site" in a checkout of Octet writes one to build/site`,
  );
}

/** The file; with its external data inside, where it has such. */
async function modelBytes(path: string, signal: AbortSignal): Promise<Uint8Array> {
  const graph = await readGraph(path, { signal });
  const bytes = await platform.readFile(path);
  return openModel(bytes).externalData.length > 0 ? encodeModel(graph) : bytes;
}
