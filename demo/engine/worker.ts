/**
 * The inference worker's first script: small, so that what the engine and its backend consist of is asked for at once, together. On a slow line a
 * file after a file costs more than its bytes.
 */
import * as Comlink from 'comlink';
import { preloadBackend } from 'octetjs';
import type { BackendChoice, EngineApi } from './protocol.ts';

const loaded = import('./engine.ts');

/** Calls wait for the engine, but for the one that fetches what else it needs. */
const api = new Proxy({} as EngineApi, {
  get: (_, name: keyof EngineApi) =>
    name === 'preload'
      ? (backend: BackendChoice) => preloadBackend({ backend })
      : async (...values: readonly unknown[]) =>
          Reflect.apply((await loaded).engine[name], undefined, values) as unknown,
});

Comlink.expose(api);
