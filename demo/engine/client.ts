/** The page's end of the inference worker. */
import * as Comlink from 'comlink';
import { engineWorker } from '../start.ts';
import type { EngineApi } from './protocol.ts';

export const engine = Comlink.wrap<EngineApi>(engineWorker);
