/**
 * The reference backend on every core: pictures are independent, and plain loops have nothing else to share. Processes rather than worker
 * threads, because these do not inherit the loader that runs TypeScript sources on Node 20.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { OctetError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { loadModel } from '../model/load.ts';
import type { LoadOptions, Model } from '../model/model.ts';
import type { Picture } from '../vision/picture.ts';

/** What a process loads its model with. */
type PoolOptions = Pick<LoadOptions, 'maxActivationBytes'>;

type Request =
  | { readonly graph: Graph; readonly options: PoolOptions }
  | { readonly id: number; readonly picture: Picture };

interface Response {
  readonly id: number;
  readonly scores?: Float32Array;
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (scores: Float32Array) => void;
  readonly reject: (error: Error) => void;
}

const THIS_FILE = fileURLToPath(import.meta.url);

export class ReferencePool {
  readonly processes: number;
  readonly #children: readonly ChildProcess[];
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor(graph: Graph, options: PoolOptions, processes = availableParallelism()) {
    this.processes = processes;
    this.#children = Array.from({ length: processes }, () => {
      const child = fork(THIS_FILE, { serialization: 'advanced' });
      child.send({ graph, options } satisfies Request);
      child.on('message', ({ id, scores, error }: Response) => {
        const waiting = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (scores) waiting?.resolve(scores);
        else waiting?.reject(new OctetError(`the reference backend failed: ${error ?? 'no reason given'}`));
      });
      child.on('exit', (code) => {
        for (const { reject } of this.#waiting.values()) {
          reject(new OctetError(`a process of the reference backend ended with code ${code ?? 'none'}`));
        }
        this.#waiting.clear();
      });
      return child;
    });
  }

  /** Scores of each picture. Each process takes every n-th: all take about as long. */
  async scores(pictures: readonly Picture[]): Promise<Float32Array[]> {
    return Promise.all(
      pictures.map(
        (picture, index) =>
          new Promise<Float32Array>((resolve, reject) => {
            const id = this.#next++;
            this.#waiting.set(id, { resolve, reject });
            this.#children[index % this.processes].send({ id, picture } satisfies Request);
          }),
      ),
    );
  }

  /** The processes end when their channel closes, and with this one in any case. */
  dispose(): void {
    for (const child of this.#children) if (child.connected) child.disconnect();
  }
}

/** The other side: this file is also what the processes run. */
function serve(send: (response: Response) => void): void {
  let opened: Promise<Model> | undefined;
  process.on('message', (request: Request) => {
    if ('graph' in request) {
      opened = loadModel(request.graph, { backend: 'reference', ...request.options });
      return;
    }
    const { id, picture } = request;
    answer(opened, picture).then(
      (scores) => send({ id, scores }),
      (error: unknown) => send({ id, error: error instanceof Error ? error.message : String(error) }),
    );
  });
}

async function answer(opened: Promise<Model> | undefined, picture: Picture): Promise<Float32Array> {
  const model = await opened;
  if (!model) throw new OctetError('a picture came before the model');
  const { outputs } = await model.run({ [model.inputs[0].name]: picture });
  return Float32Array.from(outputs[model.outputs[0].name].data);
}

if (process.send && process.argv[1] === THIS_FILE) serve((response) => process.send!(response));
