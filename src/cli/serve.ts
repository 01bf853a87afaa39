import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { InputError } from '../errors.ts';
import type { InputShape, LoadOptions } from '../model/model.ts';
import { describeFileError } from '../platform/node/file-error.ts';
import { type ServedFile, startServer } from '../serve/server.ts';
import {
  activationLimit,
  backendOption,
  inputShapeOption,
  maxActivationBytesOption,
  portNumber,
  positiveInteger,
  inputSizes,
} from './options.ts';
import type { CommandContext } from './context.ts';

interface ServeCommandOptions {
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
  readonly backend: NonNullable<LoadOptions['backend']>;
  readonly threads?: number;
  readonly processes?: number;
  readonly maxActivationBytes?: number;
  readonly inputShape?: InputShape;
  readonly hostStages?: boolean;
  readonly batch: number;
  readonly wait: number;
  readonly queue: number;
  readonly maxBody: number;
  readonly maxBuffered: number;
  readonly maxPixels: number;
  readonly maxConnections: number;
  readonly timeout: number;
  readonly drain: number;
  readonly logLevel: string;
}

const MB = 1e6;

export function configure(command: Command, { signal }: CommandContext): void {
  command
    .argument(
      '<model...>',
      'quantized ONNX files; name=file to choose the name, several of one name are versions',
    )
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('-p, --port <n>', 'port to listen on, 0 for any', portNumber, 8000)
    .option(
      '--token-file <file>',
      'bearer token that requests must bring (or OCTET_TOKEN in the environment)',
    )
    .addOption(backendOption())
    .option('--threads <n>', 'threads of each process on the wasm backend', positiveInteger)
    .option(
      '--processes <n>',
      'processes that run each model (default: 1, on the reference backend one a core)',
      positiveInteger,
    )
    .addOption(maxActivationBytesOption())
    .addOption(inputShapeOption())
    .option('--host-stages', 'compute on the CPU what does not run in integers')
    .option('--batch <n>', 'most pictures a batch', positiveInteger, 8)
    .option(
      '--wait <ms>',
      'how long a batch that is not full waits for others once a process is idle',
      milliseconds,
      1,
    )
    .option(
      '--queue <n>',
      'pictures that may wait, a model; beyond them the answer is 429',
      positiveInteger,
      256,
    )
    .option('--max-body <bytes>', 'longest body of a request', positiveInteger, 16 * MB)
    .option('--max-buffered <bytes>', 'bodies that are held at once', positiveInteger, 256 * MB)
    .option('--max-pixels <n>', 'largest width × height of a picture', positiveInteger, 16 * MB)
    .option('--max-connections <n>', 'connections at once', positiveInteger, 1024)
    .option('--timeout <ms>', 'from a request to its answer', positiveInteger, 30_000)
    .option(
      '--drain <ms>',
      'on SIGTERM, how long to accept requests after readiness has ended',
      milliseconds,
      0,
    )
    .addOption(
      new Option('--log-level <level>', 'of the log on standard output, JSON lines')
        .choices(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'])
        .default('info'),
    )
    .action(async (models: string[], options: ServeCommandOptions) => {
      const { backend, threads, processes, hostStages } = options;
      const token = await readToken(options.tokenFile);
      const server = await startServer({
        files: models.map(servedFile),
        host: options.host,
        port: options.port,
        ...(token !== undefined && { token }),
        load: {
          backend,
          ...(threads !== undefined && { threads }),
          ...(hostStages && { hostStages }),
          ...activationLimit(options),
          ...inputSizes(options),
        },
        processes: processes ?? (backend === 'reference' ? availableParallelism() : 1),
        batch: options.batch,
        waitMs: options.wait,
        queue: options.queue,
        maxBodyBytes: options.maxBody,
        maxBufferedBytes: options.maxBuffered,
        maxPixels: options.maxPixels,
        maxConnections: options.maxConnections,
        timeoutMs: options.timeout,
        drainMs: options.drain,
        logLevel: options.logLevel,
      });
      if (token === undefined && !isLoopback(options.host)) {
        server.log.warn('anyone who reaches this address may use the server: there is no token');
      }
      await stopSignal(signal);
      server.log.info('closing');
      await server.close();
    });
}

/** Resolves at Ctrl-C or SIGTERM; a second one of either ends the process as usual. */
function stopSignal(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    process.once('SIGTERM', () => resolve());
    if (signal.aborted) resolve();
  });
}

/** `name=file`, or a file whose name without its endings is the model's. */
export function servedFile(text: string): ServedFile {
  const [, given, path] = /^([\w.-]+)=(.+)$/.exec(text) ?? [undefined, undefined, text];
  return { name: given ?? basename(path).replace(/(\.int8)?\.onnx$/i, ''), path };
}

async function readToken(path: string | undefined): Promise<string | undefined> {
  const { OCTET_TOKEN: inherited } = process.env;
  // The processes that run models have no use for it.
  delete process.env.OCTET_TOKEN;
  let token = inherited;
  if (path !== undefined) {
    try {
      token = (await readFile(path, 'utf8')).trim();
    } catch (cause) {
      throw new InputError(`cannot read the token ${path}: ${describeFileError(cause)}`, { cause });
    }
  }
  if (token === undefined || /^\S{16,}$/.test(token)) return token;
  throw new InputError('the token must have at least 16 characters, none of them white space');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new InvalidArgumentError('It must be a number, 0 or more.');
  return value;
}
