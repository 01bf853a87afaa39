/** The page's end of the second worker, which holds the float model. Started when first asked for. */
import * as Comlink from 'comlink';
import { signal } from '@preact/signals';
import type { ProgressEvent } from 'octetjs';
import { asJob, isAbort } from '../engine/jobs.ts';
import { messageOf } from '../state.ts';
import type { LabApi } from './protocol.ts';

/** What turning the float model on will fetch: its own bytes and ONNX Runtime's. Filled in by the build (vite.config.ts). */
declare const __FLOAT_DOWNLOAD_BYTES__: number;
export const floatDownloadBytes = __FLOAT_DOWNLOAD_BYTES__;

export type LabState =
  | { readonly status: 'off' }
  | { readonly status: 'loading'; readonly event: ProgressEvent | null }
  | { readonly status: 'ready' }
  | { readonly status: 'failed'; readonly message: string };

export const labState = signal<LabState>({ status: 'off' });

let remote: Comlink.Remote<LabApi> | null = null;

/** Calls before `openLab` start the worker too. */
export const lab = new Proxy({} as Comlink.Remote<LabApi>, {
  get(_target, name) {
    remote ??= Comlink.wrap<LabApi>(
      new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'octet-lab' }),
    );
    return Reflect.get(remote, name) as unknown;
  },
});

let opening: { readonly done: Promise<void>; readonly controller: AbortController } | null = null;

/** Fetches the float model and ONNX Runtime, once. Rejects with an AbortError where `cancelLab` is called before it is there. */
export function openLab(): Promise<void> {
  if (opening) return opening.done;
  const controller = new AbortController();
  const open = async () => {
    labState.value = { status: 'loading', event: null };
    try {
      await asJob(lab, controller.signal, (job) =>
        lab.open(
          job,
          Comlink.proxy((event) => (labState.value = { status: 'loading', event })),
        ),
      );
      labState.value = { status: 'ready' };
    } catch (error) {
      opening = null;
      labState.value = isAbort(error) ? { status: 'off' } : { status: 'failed', message: messageOf(error) };
      throw error;
    }
  };
  opening = { done: open(), controller };
  return opening.done;
}

/** Gives up a download under way; what is open stays open. */
export function cancelLab(): void {
  opening?.controller.abort();
}
