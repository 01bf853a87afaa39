/** Prometheus metrics of a server. */
import type * as promClient from 'prom-client';

type PromClient = Pick<
  typeof promClient,
  'Counter' | 'Gauge' | 'Histogram' | 'Registry' | 'collectDefaultMetrics'
>;

export interface ServerMetrics {
  readonly registry: promClient.Registry;
  /** `route` and `model` are of known sets: what callers make up must not become labels. */
  request(labels: { route: string; model: string; code: number }, seconds: number): void;
  batch(model: string, pictures: number, seconds: number): void;
  waited(model: string, seconds: number): void;
  restart(model: string): void;
}

/** What is read when metrics are. */
export interface ModelGauges {
  readonly model: string;
  readonly waiting: number;
  readonly running: number;
  readonly processes: number;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** @param models called at each scrape */
export function createMetrics(
  { Counter, Gauge, Histogram, Registry, collectDefaultMetrics }: PromClient,
  models: () => readonly ModelGauges[],
): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const requests = new Counter({
    name: 'octet_requests_total',
    help: 'Requests answered, by route, model and status code.',
    labelNames: ['route', 'model', 'code'],
    registers,
  });
  const seconds = new Histogram({
    name: 'octet_request_seconds',
    help: 'From the request’s first byte to its answer’s last.',
    labelNames: ['route', 'model'],
    buckets: SECONDS,
    registers,
  });
  const batchPictures = new Histogram({
    name: 'octet_batch_pictures',
    help: 'Pictures a batch.',
    labelNames: ['model'],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128],
    registers,
  });
  const batchSeconds = new Histogram({
    name: 'octet_batch_seconds',
    help: 'From a batch’s way to its process to the answer.',
    labelNames: ['model'],
    buckets: SECONDS,
    registers,
  });
  const waitSeconds = new Histogram({
    name: 'octet_wait_seconds',
    help: 'Time that pictures wait in the queue.',
    labelNames: ['model'],
    buckets: SECONDS,
    registers,
  });
  const restarts = new Counter({
    name: 'octet_process_restarts_total',
    help: 'Processes that were lost and started again.',
    labelNames: ['model'],
    registers,
  });
  const gauge = (name: string, help: string, value: (of: ModelGauges) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['model'],
      registers,
      collect() {
        for (const one of models()) this.set({ model: one.model }, value(one));
      },
    });
  gauge('octet_queue_pictures', 'Pictures that wait in the queue.', ({ waiting }) => waiting);
  gauge('octet_running_pictures', 'Pictures in batches that run.', ({ running }) => running);
  gauge('octet_processes', 'Processes that are ready to run the model.', ({ processes }) => processes);

  return {
    registry,
    request({ route, model, code }, duration) {
      requests.inc({ route, model, code });
      seconds.observe({ route, model }, duration);
    },
    batch(model, pictures, duration) {
      batchPictures.observe({ model }, pictures);
      batchSeconds.observe({ model }, duration);
    },
    waited: (model, duration) => waitSeconds.observe({ model }, duration),
    restart: (model) => restarts.inc({ model }),
  };
}
