/** The page's end of the inference worker. */
import * as Comlink from 'comlink';
import type { EngineApi } from './protocol.ts';

export const engineWorker = new Worker(new URL('./worker.ts', import.meta.url), {
  type: 'module',
  name: 'octet',
});

export const engine = Comlink.wrap<EngineApi>(engineWorker);
