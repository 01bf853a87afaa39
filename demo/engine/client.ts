/** The page's end of the inference worker. */
import * as Comlink from 'comlink';
import type { EngineApi } from './protocol.ts';

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'octet' });

export const engine = Comlink.wrap<EngineApi>(worker);
