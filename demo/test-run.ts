/** All 1,000 test pictures through the network (int8, and the float model for comparison), kept outside the view so that it goes on while another is looked at. */
import * as Comlink from 'comlink';
import { computed, signal, type Signal } from '@preact/signals';
import { engine } from './engine/client.ts';
import { asJob, isAbort } from './engine/jobs.ts';
import type { ModelInfo, OnPredictions } from './engine/protocol.ts';
import { floatFile, lab } from './lab/client.ts';
import { testClasses, testCount, testLabels, testSheet } from './pictures/sheet.ts';
import { info, messageOf, notice } from './state.ts';

export interface TestRun {
  /** The model that ran, a float one by its address; null for a saved result. */
  readonly of: ModelInfo | string | null;
  readonly status: 'running' | 'done' | 'cancelled' | 'saved';
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

export const currentFloatRun = computed(() =>
  floatRun.value?.of === floatFile.value?.url ? floatRun.value : null,
);

const controllers = new Map<Signal<TestRun | null>, AbortController>();

export const runInt8 = (batch: number): Promise<void> =>
  run(int8Run, info.peek(), (pictures, signal, onPredictions) =>
    asJob(engine, signal, (job) => engine.classifyAll(job, pictures, batch, Comlink.proxy(onPredictions))),
  );

export const runFloat = (): Promise<void> =>
  run(floatRun, floatFile.peek()?.url ?? null, (pictures, signal, onPredictions) =>
    asJob(lab, signal, (job) => lab.classifyAll(job, pictures, Comlink.proxy(onPredictions))),
  );

export function cancel(target: Signal<TestRun | null>): void {
  controllers.get(target)?.abort();
}

export function tally(run: TestRun): Tally {
  const confusion = new Uint16Array(testClasses.length ** 2);
  let correct = 0;
  run.predicted.forEach((predicted, index) => {
    if (predicted < 0) return;
    const label = testLabels[index];
    if (predicted === label) correct++;
    confusion[label * testClasses.length + predicted]++;
  });
  return { correct, confusion };
}

async function run(
  target: Signal<TestRun | null>,
  of: TestRun['of'],
  classifyAll: (
    pictures: { data: Uint8Array; count: number },
    signal: AbortSignal,
    onPredictions: OnPredictions,
  ) => Promise<void>,
): Promise<void> {
  if (target.peek()?.status === 'running') return;
  const controller = new AbortController();
  controllers.set(target, controller);
  const total = testCount;
  const predicted = new Int16Array(total).fill(-1);
  let done = 0;
  let started = performance.now();
  const publish = (status: TestRun['status']) => {
    target.value = { of, status, predicted, done, elapsedMs: performance.now() - started };
  };
  publish('running');
  try {
    const data = await testSheet.allPixels();
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
