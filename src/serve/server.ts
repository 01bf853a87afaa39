/** The HTTP server: routes of the Open Inference Protocol v2, and what keeps it standing. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { InputError, OctetError } from '../errors.ts';
import { version as octetVersion } from '../version.ts';
import { digestOf, isClassifier, rank } from './answers.ts';
import { Batcher, batchSizes, QueueFullError } from './batcher.ts';
import type { ProcessOptions } from './messages.ts';
import { createMetrics, type ServerMetrics } from './metrics.ts';
import { ProcessLostError, ProcessPool } from './process-pool.ts';
import { HEADER_LENGTH, readInferRequest, tensorMetadata, writeInferResponse } from './protocol.ts';
import type { Unit, UnitOutput } from './units.ts';

export interface ServedFile {
  readonly name: string;
  readonly path: string;
}

export interface ServerOptions {
  /** Several of one name are its versions; the last is the one that a request without a version gets. */
  readonly files: readonly ServedFile[];
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** What every request but those of health must bring as `Authorization: Bearer`. */
  readonly token?: string;
  readonly load: ProcessOptions['load'];
  readonly processes: number;
  /** Most pictures a batch. */
  readonly batch: number;
  /** Milliseconds that the first of a batch waits for others while a process is idle. */
  readonly waitMs: number;
  /** Pictures that may wait, a model. */
  readonly queue: number;
  readonly maxBodyBytes: number;
  /** Bytes of bodies that are held at once; beyond them, requests are refused before they are read. */
  readonly maxBufferedBytes: number;
  readonly maxPixels: number;
  readonly maxConnections: number;
  /** Milliseconds from a request's arrival to its answer. */
  readonly timeoutMs: number;
  /** Milliseconds between the signal to stop, when readiness ends, and the end of listening. */
  readonly drainMs: number;
  readonly logLevel: string;
  /** The processes' module, for comparison with other engines. */
  readonly module?: URL;
}

export interface Server {
  readonly url: string;
  readonly models: readonly ServedModel[];
  readonly log: FastifyBaseLogger;
  /** Ends readiness, then listening, then, once what was accepted is answered, the processes. */
  close(): Promise<void>;
}

export interface ServedModel {
  readonly name: string;
  readonly version: string;
  readonly pool: ProcessPool;
  readonly batcher: Batcher;
}

/** An answer other than 200, with the reason that the caller is told. */
class Refusal extends OctetError {
  override name = 'Refusal';
  readonly status: number;
  /** Seconds after which another try makes sense. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Nobody is there to read what went wrong. */
class ClientGoneError extends OctetError {
  override name = 'ClientGoneError';
}

const VERSION_LENGTH = 12;
const PLATFORM = 'octet_onnx';
const EXTENSIONS = ['binary_tensor_data', 'model_repository(index)', 'octet_classify'];
/** A header that is not there after this is never coming. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than balancers keep idle connections, so that it is they who close. */
const KEEP_ALIVE_MS = 65_000;
const DEFAULT_TOP = 5;

interface ModelRoute {
  Params: { name: string; version?: string };
  Querystring: { top?: string };
}

/**
 * Loads the models, warms them up, then listens.
 *
 * @throws {OctetError} a model cannot be loaded, a package is missing, or the address cannot be had
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { fastify, LogController, promClient } = await importPackages();
  const app = fastify({
    logger: { level: options.logLevel, base: { pid: process.pid } },
    // A line a request, with what matters here, is written below.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.maxBodyBytes,
    requestTimeout: options.timeoutMs,
    connectionTimeout: options.timeoutMs + KEEP_ALIVE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    routerOptions: { maxParamLength: 200 },
    http: {
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, options.timeoutMs),
      connectionsCheckingInterval: 1000,
    },
  });
  app.server.maxConnections = options.maxConnections;

  const models: ServedModel[] = [];
  const metrics = createMetrics(promClient, () =>
    models.map(({ name, pool, batcher }) => ({
      model: name,
      waiting: batcher.waiting,
      running: batcher.running,
      processes: pool.ready,
    })),
  );
  try {
    const opened = await Promise.allSettled(
      options.files.map((file) => openModel(file, options, metrics, app.log)),
    );
    for (const one of opened) if (one.status === 'fulfilled') models.push(one.value);
    for (const one of opened) if (one.status === 'rejected') throw one.reason;
    checkVersions(models);
    const state = new ServerState(options, models, metrics);
    addRoutes(app, state);
    const url = await app.listen({ host: options.host, port: options.port });
    return {
      url,
      models,
      log: app.log,
      async close() {
        state.draining = true;
        if (options.drainMs > 0) await new Promise((resolve) => setTimeout(resolve, options.drainMs));
        await app.close();
        for (const { pool } of models) pool.dispose();
      },
    };
  } catch (error) {
    for (const { pool } of models) pool.dispose();
    await app.close();
    if (error instanceof OctetError) throw error;
    throw new OctetError(
      `the server cannot start: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** They are optional: who does not serve does not install them. */
async function importPackages() {
  try {
    const { fastify, LogController } = await import('fastify');
    const { default: promClient } = await import('prom-client');
    return { fastify, LogController, promClient };
  } catch (cause) {
    throw new OctetError(
      'the server needs two packages that are not installed: npm install fastify prom-client',
      { cause },
    );
  }
}

async function openModel(
  { name, path }: ServedFile,
  options: ServerOptions,
  metrics: ServerMetrics,
  log: FastifyBaseLogger,
): Promise<ServedModel> {
  const start = performance.now();
  const sizes = batchSizes(options.batch);
  const pool = await ProcessPool.open({
    source: path,
    load: options.load,
    batches: sizes,
    maxPixels: options.maxPixels,
    processes: options.processes,
    runTimeoutMs: options.timeoutMs,
    ...(options.module && { module: options.module }),
    onEvent(event) {
      if (event.kind === 'lost') {
        log.error({ model: name, reason: event.reason, retryInMs: event.retryInMs }, 'process lost');
      } else {
        log.info({ model: name }, 'process restarted');
        metrics.restart(name);
        batcher.pump();
      }
    },
  });
  const batcher = new Batcher(pool, {
    sizes,
    waitMs: options.waitMs,
    capacity: options.queue,
    onBatch: ({ pictures, runMs }) => metrics.batch(name, pictures, runMs / 1000),
    onDispatch: (waitedMs) => metrics.waited(name, waitedMs / 1000),
  });
  const { hash, backend, backendReason, threads } = pool.model;
  const { processIds } = pool;
  const version = hash.slice(0, VERSION_LENGTH);
  const loadMs = Math.round(performance.now() - start);
  log.info(
    { model: name, version, hash, backend, backendReason, threads, processIds, loadMs },
    'model ready',
  );
  return { name, version, pool, batcher };
}

function checkVersions(models: readonly ServedModel[]): void {
  const seen = new Set<string>();
  for (const { name, version } of models) {
    if (seen.has(`${name}/${version}`)) {
      throw new InputError(`the model "${name}" is there twice with the same bytes (version ${version})`);
    }
    seen.add(`${name}/${version}`);
  }
}

class ServerState {
  readonly options: ServerOptions;
  readonly models: readonly ServedModel[];
  readonly metrics: ServerMetrics;
  draining = false;
  /** Of bodies that are read or wait. */
  bufferedBytes = 0;
  readonly #token: Buffer | undefined;

  constructor(options: ServerOptions, models: readonly ServedModel[], metrics: ServerMetrics) {
    this.options = options;
    this.models = models;
    this.metrics = metrics;
    this.#token = options.token === undefined ? undefined : sha256(options.token);
  }

  get ready(): boolean {
    return !this.draining && this.models.every(({ pool }) => pool.ready > 0);
  }

  /** Compares digests in constant time: neither content nor length leaks. */
  isAuthorized({ headers }: FastifyRequest): boolean {
    if (!this.#token) return true;
    const given = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
    return given !== undefined && timingSafeEqual(sha256(given), this.#token);
  }

  /** @throws {Refusal} there is no such model or version */
  find({ name, version }: ModelRoute['Params']): ServedModel {
    const versions = this.models.filter((model) => model.name === name);
    const model = version === undefined ? versions.at(-1) : versions.find((one) => one.version === version);
    if (model) return model;
    throw new Refusal(
      404,
      versions.length === 0
        ? `there is no model "${name}": this server has ${[...new Set(this.models.map((one) => one.name))].join(', ')}`
        : `there is no version "${version}" of model "${name}": this server has ${versions.map((one) => one.version).join(', ')}`,
    );
  }

  /** Holds the room of a body until its answer is done. */
  reserve(request: FastifyRequest, reply: FastifyReply): void {
    const declared = Number(request.headers['content-length'] ?? NaN);
    // A body of unknown length may be as long as the limit.
    const bytes = Number.isNaN(declared) ? this.options.maxBodyBytes : declared;
    if (bytes > this.options.maxBodyBytes) {
      throw new Refusal(413, `the body has ${bytes} bytes, the limit is ${this.options.maxBodyBytes}`);
    }
    if (this.bufferedBytes + bytes > this.options.maxBufferedBytes) {
      throw new Refusal(429, 'the server holds as many bytes of requests as it may: try again later', 1);
    }
    this.bufferedBytes += bytes;
    reply.raw.once('close', () => (this.bufferedBytes -= bytes));
  }

  /** Runs units in the queue's turn. Ends early when the client leaves or time is up. */
  async run(
    { batcher }: ServedModel,
    units: readonly Unit[],
    reply: FastifyReply,
  ): Promise<(readonly UnitOutput[])[]> {
    const controller = new AbortController();
    const leave = () => controller.abort(new ClientGoneError('the client has left'));
    if (reply.raw.closed) leave();
    reply.raw.once('close', leave);
    const timer = setTimeout(() => {
      const message = `there was no answer within ${this.options.timeoutMs} ms`;
      controller.abort(new Refusal(504, message, batcher.retryAfter));
    }, this.options.timeoutMs);
    try {
      const results = await batcher.submit(units, controller.signal);
      return results.map((result) => {
        if ('error' in result) throw new InputError(result.error);
        return result.outputs;
      });
    } finally {
      clearTimeout(timer);
      reply.raw.removeListener('close', leave);
    }
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

const isHealth = (request: FastifyRequest) => request.routeOptions.url?.startsWith('/v2/health/') === true;

function addRoutes(app: FastifyInstance, state: ServerState): void {
  // Bodies are bytes: what they are is for the route to say.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.addHook('onRequest', async (request, reply) => {
    if (!isHealth(request) && !state.isAuthorized(request)) {
      void reply.header('www-authenticate', 'Bearer');
      throw new Refusal(401, 'a bearer token is needed: Authorization: Bearer …');
    }
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      throw new Refusal(415, `Content-Encoding ${encoding} is not supported: send the body as it is`);
    }
    if (request.method === 'POST') {
      const params = request.params as Partial<ModelRoute['Params']>;
      // Before the body is read: a full queue, and a model that is not there, need none of it.
      if (params.name !== undefined) state.find({ ...params, name: params.name }).batcher.checkRoom(1);
      state.reserve(request, reply);
    }
  });
  app.addHook('onResponse', async (request, reply) => {
    const seconds = reply.elapsedTime / 1000;
    const route = request.routeOptions.url?.replace('/versions/:version', '') ?? 'none';
    const { name } = request.params as Partial<ModelRoute['Params']>;
    const model = state.models.some((one) => one.name === name) ? name! : '';
    state.metrics.request({ route, model, code: reply.statusCode }, seconds);
    if (isHealth(request) || route === '/metrics') return;
    const { method, url } = request;
    const code = reply.statusCode;
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    request.log[code >= 500 ? 'error' : 'info']({ method, url: url.slice(0, 200), code, ms }, 'request');
  });
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply));
  app.setNotFoundHandler((request) => {
    throw new Refusal(404, `there is no ${request.method} ${request.url.slice(0, 200)}`);
  });

  addDescriptions(app, state);
  for (const version of ['', '/versions/:version']) {
    app.post<ModelRoute>(`/v2/models/:name${version}/infer`, (request, reply) =>
      infer(state, request, reply),
    );
    app.post<ModelRoute>(`/v2/models/:name${version}/classify`, (request, reply) =>
      classify(state, request, reply),
    );
  }
}

function addDescriptions(app: FastifyInstance, state: ServerState): void {
  app.get('/v2/health/live', () => ({ live: true }));
  app.get('/v2/health/ready', () => {
    if (!state.ready)
      throw new Refusal(503, state.draining ? 'the server is closing' : 'a model is not ready', 1);
    return { ready: true };
  });
  app.get('/v2', () => ({ name: 'octet', version: octetVersion, extensions: EXTENSIONS }));
  app.get('/metrics', async (_request, reply) => {
    const { registry } = state.metrics;
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  app.post('/v2/repository/index', () =>
    state.models.map(({ name, version, pool }) => ({
      name,
      version,
      state: pool.ready > 0 ? 'READY' : 'UNAVAILABLE',
      reason: '',
    })),
  );
  for (const version of ['', '/versions/:version']) {
    app.get<ModelRoute>(`/v2/models/:name${version}`, ({ params }) => {
      const { name, pool } = state.find(params);
      return {
        name,
        versions: state.models.filter((model) => model.name === name).map((model) => model.version),
        platform: PLATFORM,
        inputs: tensorMetadata(pool.model.inputs),
        outputs: tensorMetadata(pool.model.outputs),
      };
    });
    app.get<ModelRoute>(`/v2/models/:name${version}/ready`, ({ params }) => {
      const { name, pool } = state.find(params);
      if (state.draining || pool.ready === 0) throw new Refusal(503, `model "${name}" is not ready`, 1);
      return { name, ready: true };
    });
  }
}

async function infer(
  state: ServerState,
  request: FastifyRequest<ModelRoute>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const served = state.find(request.params);
  const { model } = served.pool;
  const headerLength = request.headers[HEADER_LENGTH];
  const read = readInferRequest(model, bodyOf(request), headerLength as string | undefined);
  const results = await state.run(served, read.units, reply);
  const names = { model: served.name, version: served.version };
  const response = writeInferResponse(names, model, read, results);
  void reply.header('x-octet-digest', digestOf(results));
  if (response.headerLength === undefined) return reply.type('application/json').send(response.body);
  return reply
    .header(HEADER_LENGTH, response.headerLength)
    .type('application/octet-stream')
    .send(response.body);
}

async function classify(
  state: ServerState,
  request: FastifyRequest<ModelRoute>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const served = state.find(request.params);
  const { model } = served.pool;
  const obstacle = model.noPixels ?? model.noPictures;
  if (obstacle) throw new InputError(`model "${served.name}" takes no pictures: ${obstacle}`);
  if (!isClassifier(model.outputs)) {
    throw new InputError(`model "${served.name}" is no classifier: use the infer route`);
  }
  const top = Number(request.query.top ?? DEFAULT_TOP);
  if (!Number.isInteger(top) || top < 1) throw new InputError('top must be a positive integer');
  const results = await state.run(served, [{ kind: 'file', bytes: bodyOf(request) }], reply);
  const predictions = rank(model.outputs[0], model.labels, results[0][0].data, top);
  return reply
    .header('x-octet-digest', digestOf(results))
    .send({ model_name: served.name, model_version: served.version, predictions });
}

function bodyOf({ body }: FastifyRequest): Uint8Array {
  return (body as Buffer | undefined) ?? new Uint8Array();
}

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof ClientGoneError) {
    // The status that nginx logs; nobody receives it.
    return reply.code(499).send();
  }
  const { status, message, retryAfter } = describeError(error, request);
  if (retryAfter !== undefined) void reply.header('retry-after', retryAfter);
  // What is left of the body is not waited for.
  if (request.method === 'POST' && request.body === undefined) void reply.header('connection', 'close');
  return reply.code(status).send({ error: message });
}

function describeError(
  error: unknown,
  request: FastifyRequest,
): { readonly status: number; readonly message: string; readonly retryAfter?: number | undefined } {
  if (error instanceof Refusal) return error;
  if (error instanceof QueueFullError)
    return { status: 429, message: error.message, retryAfter: error.retryAfter };
  if (error instanceof ProcessLostError) return { status: 503, message: error.message, retryAfter: 1 };
  if (error instanceof InputError) return { status: 400, message: error.message };
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  // Fastify's own: a body too large, a length that is not kept to.
  if (statusCode !== undefined && statusCode < 500)
    return { status: statusCode, message: message ?? 'bad request' };
  request.log.error({ err: error }, 'request failed');
  return {
    status: 500,
    message: error instanceof OctetError ? error.message : 'the server failed: its log says why',
  };
}
