/** The page's end of the second worker, which holds a float model. Started when first asked for. */
import * as Comlink from 'comlink';
import { computed, effect, signal } from '@preact/signals';
import type { ProgressEvent } from 'octetjs';
import bytes from 'virtual:site/bytes';
import { asJob, isAbort } from '../engine/jobs.ts';
import { inUse, messageOf, modelChoice, ownFloat } from '../state.ts';
import { offered } from '../models.ts';
import type { LabApi } from './protocol.ts';

export type LabState =
  | { readonly status: 'off' }
  | { readonly status: 'loading'; readonly event: ProgressEvent | null }
  | { readonly status: 'ready' }
  | { readonly status: 'failed'; readonly message: string };

/** Address of a visitor's own float model: its own worker has it open since it was quantized. */
const OWN = 'own';

/** The float model behind the one in use, the first model's for its kin that never were float; null where the page has none. */
export const floatFile = computed(() => {
  if (inUse.value) {
    const [first] = offered;
    return inUse.value.float ?? (inUse.value.title === first.title ? first.float : null);
  }
  const own = ownFloat.value;
  return own?.int8 && own.int8 === modelChoice.value ? { url: OWN, bytes: 0 } : null;
});
/** What turning it on fetches: its own bytes and ONNX Runtime's. */
export const floatDownload = computed(() => (floatFile.value?.bytes ?? 0) + bytes.onnxruntime);

export const labState = signal<LabState>({ status: 'off' });

function start(name: string): Comlink.Remote<LabApi> {
  return Comlink.wrap<LabApi>(new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name }));
}

const remotes = new Map<string, Comlink.Remote<LabApi>>();

/** A worker that is started when it is first called. */
function lazily(name: () => string): Comlink.Remote<LabApi> {
  return new Proxy({} as Comlink.Remote<LabApi>, {
    get(_target, method) {
      const remote = remotes.get(name()) ?? start(name());
      remotes.set(name(), remote);
      return Reflect.get(remote, method) as unknown;
    },
  });
}

/** Holds a visitor's own float model. */
export const ownLab = lazily(() => 'octet-own-lab');
/** Holds the float model behind the one in use, once `openLab` has opened it. */
export const lab = lazily(() => (floatFile.peek()?.url === OWN ? 'octet-own-lab' : 'octet-lab'));

let opening: {
  readonly url: string;
  readonly done: Promise<void>;
  readonly controller: AbortController;
} | null = null;

// Another model in use: what is open is not its float model.
effect(() => {
  if (floatFile.value?.url === opening?.url) return;
  opening?.controller.abort();
  opening = null;
  labState.value = { status: floatFile.value?.url === OWN ? 'ready' : 'off' };
});

/** Fetches the float model and ONNX Runtime, once. Rejects with an AbortError where `cancelLab` is called before it is there. */
export function openLab(): Promise<void> {
  if (opening) return opening.done;
  const url = floatFile.peek()?.url;
  if (url === OWN) return Promise.resolve();
  if (url === undefined) return Promise.reject(new Error('this model has no float model'));
  const controller = new AbortController();
  const isCurrent = () => opening?.controller === controller;
  const open = async () => {
    labState.value = { status: 'loading', event: null };
    try {
      await asJob(lab, controller.signal, (job) =>
        lab.open(
          job,
          url,
          Comlink.proxy((event) => {
            if (isCurrent()) labState.value = { status: 'loading', event };
          }),
        ),
      );
      if (isCurrent()) labState.value = { status: 'ready' };
    } catch (error) {
      if (isCurrent()) {
        opening = null;
        labState.value = isAbort(error) ? { status: 'off' } : { status: 'failed', message: messageOf(error) };
      }
      throw error;
    }
  };
  opening = { url, controller, done: Promise.resolve() };
  opening = { ...opening, done: open() };
  return opening.done;
}

/** Gives up a download under way; what is open stays open. */
export function cancelLab(): void {
  opening?.controller.abort();
}
