/** All 1,000 test pictures through the network (int8, and the float model for comparison), kept outside the view so that it goes on while another is looked at. */
import * as Comlink from 'comlink';
import { computed, signal, type Signal } from '@preact/signals';
import { engine } from './engine/client.ts';
import { asJob, isAbort } from './engine/jobs.ts';
import type { ModelInfo, OnPredictions } from './engine/protocol.ts';
import { lab } from './lab/client.ts';
import { info, messageOf, notice, sheet } from './state.ts';
import type { Sheet } from './pictures/sheet.ts';

export interface TestRun {
  /** The model that ran; null for the float model, of which there is one. */
  readonly of: ModelInfo | null;
  readonly status: 'running' | 'done' | 'cancelled';
  /** Predicted class of each test picture, −1 where not yet known. */
  readonly predicted: Int16Array;
  readonly done: number;
  readonly elapsedMs: number;
}

export interface Tally {
  readonly correct: number;
  /** `confusion[true · classes + predicted]`. */
  readonly confusion: Uint16Array;
}

export const int8Run = signal<TestRun | null>(null);
export const floatRun = signal<TestRun | null>(null);
/** Of the model in use: what another one said is not shown beside it. */
export const currentInt8Run = computed(() => (int8Run.value?.of === info.value ? int8Run.value : null));

const controllers = new Map<Signal<TestRun | null>, AbortController>();

export const runInt8 = (batch: number): Promise<void> =>
  run(int8Run, info.peek(), (pictures, signal, onPredictions) =>
    asJob(engine, signal, (job) => engine.classifyAll(job, pictures, batch, Comlink.proxy(onPredictions))),
  );

export const runFloat = (): Promise<void> =>
  run(floatRun, null, (pictures, signal, onPredictions) =>
    asJob(lab, signal, (job) => lab.classifyAll(job, pictures, Comlink.proxy(onPredictions))),
  );

export function cancel(target: Signal<TestRun | null>): void {
  controllers.get(target)?.abort();
}

export function tally(run: TestRun, { labels, classes }: Sheet): Tally {
  const confusion = new Uint16Array(classes.length ** 2);
  let correct = 0;
  run.predicted.forEach((predicted, index) => {
    if (predicted < 0) return;
    const label = labels[index];
    if (predicted === label) correct++;
    confusion[label * classes.length + predicted]++;
  });
  return { correct, confusion };
}

async function run(
  target: Signal<TestRun | null>,
  of: ModelInfo | null,
  classifyAll: (
    pictures: { data: Uint8Array; count: number },
    signal: AbortSignal,
    onPredictions: OnPredictions,
  ) => Promise<void>,
): Promise<void> {
  const pictures = sheet.peek();
  if (!pictures || target.peek()?.status === 'running') return;
  const controller = new AbortController();
  controllers.set(target, controller);
  const total = pictures.labels.length;
  const predicted = new Int16Array(total).fill(-1);
  let done = 0;
  let started = performance.now();
  const publish = (status: TestRun['status']) => {
    target.value = { of, status, predicted, done, elapsedMs: performance.now() - started };
  };
  publish('running');
  try {
    const data = await pictures.allPixels();
    started = performance.now();
    await classifyAll({ data, count: total }, controller.signal, (first, classes) => {
      predicted.set(classes, first);
      done = first + classes.length;
      publish('running');
    });
    publish('done');
  } catch (error) {
    publish('cancelled');
    if (!isAbort(error)) notice.value = messageOf(error);
  }
}
