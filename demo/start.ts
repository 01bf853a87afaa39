/** What the first answer waits for, asked for before the page itself is there: the inference worker and the first model. */
import { modelById, offered } from './models.ts';

declare global {
  interface Window {
    /** What the document of a built site has started (vite.config.ts); `download` is of the first model, where the address asks for no other. */
    readonly started?: {
      readonly worker: Worker;
      readonly stopped: Promise<ErrorEvent>;
      readonly download: Promise<Response> | null;
    };
  }
}

/** What the address asks for, else the smallest. */
export const firstModel = modelById(new URLSearchParams(location.search).get('model') ?? '') ?? offered[0];
/** Name of a model that the host has beside the page (`octet open`): it comes in place of the first. */
export const servedModel = new URLSearchParams(location.search).get('open');
export const firstDownload =
  window.started?.download ??
  fetch(servedModel === null ? firstModel.url : `./served/${encodeURIComponent(servedModel)}`);
// Whoever reads it says what went wrong.
firstDownload.catch(() => undefined);

export const engineWorker =
  window.started?.worker ??
  new Worker(new URL('./engine/worker.ts', import.meta.url), { type: 'module', name: 'octet' });

/** Resolves if the worker stops: its script could not be fetched, or the browser ended it. */
export const workerStopped =
  window.started?.stopped ??
  new Promise<ErrorEvent>((resolve) => engineWorker.addEventListener('error', resolve, { once: true }));
