/** The reference backend on several threads: pictures are independent, and plain loops have nothing else to share. */
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { OctetError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { loadModel } from '../model/load.ts';
import type { Picture } from '../vision/picture.ts';

interface Request {
  readonly id: number;
  readonly picture: Picture;
}

interface Response {
  readonly id: number;
  readonly scores?: Float32Array;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (scores: Float32Array) => void;
  readonly reject: (error: Error) => void;
}

export class ReferencePool {
  readonly threads: number;
  readonly #workers: readonly Worker[];
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor(graph: Graph, threads = availableParallelism()) {
    this.threads = threads;
    this.#workers = Array.from({ length: threads }, () => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { graph } satisfies WorkerData });
      worker.on('message', ({ id, scores, error }: Response) => {
        const waiting = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (scores) waiting?.resolve(scores);
        else waiting?.reject(new OctetError(`a reference thread failed: ${error ?? 'no reason given'}`));
      });
      worker.on('error', (error) => {
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
      });
      return worker;
    });
  }

  /** Scores of each picture. Each thread takes every n-th: all take about as long. */
  async scores(pictures: readonly Picture[]): Promise<Float32Array[]> {
    return Promise.all(
      pictures.map(
        (picture, index) =>
          new Promise<Float32Array>((resolve, reject) => {
            const id = this.#next++;
            this.#waiting.set(id, { resolve, reject });
            this.#workers[index % this.threads].postMessage({ id, picture } satisfies Request);
          }),
      ),
    );
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

interface WorkerData {
  readonly graph: Graph;
}

/** The other side: this file is also what the threads run. */
if (!isMainThread && parentPort && isWorkerData(workerData)) {
  const port = parentPort;
  const opened = loadModel(workerData.graph, { backend: 'reference' });
  port.on('message', ({ id, picture }: Request) => {
    opened
      .then(async (model) => {
        const { outputs } = await model.run({ [model.inputs[0].name]: picture });
        port.postMessage({ id, scores: outputs[model.outputs[0].name].data } satisfies Response);
      })
      .catch((error: unknown) => {
        port.postMessage({
          id,
          error: error instanceof Error ? error.message : String(error),
        } satisfies Response);
      });
  });
}

function isWorkerData(data: unknown): data is WorkerData {
  return typeof data === 'object' && data !== null && 'graph' in data;
}
