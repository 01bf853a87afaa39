/**
 * A page of its own for each engine under test, so that thread pools, devices and heaps don't meet. Driven from outside: by
 * Playwright (bench/run.ts), or by the bench page of the demo site, which holds it in an iframe of the same origin.
 */
import { installGpuMeter } from './gpu-meter.ts';
import type {
  ComputeLimit,
  Contender,
  Library,
  LoadContender,
  LoadedContender,
  Preprocessing,
} from '../contenders/contender.ts';

const meter = installGpuMeter();

export interface LoadMeasurement {
  /** Fetching the model, in ms: local, so a matter of the machine. */
  readonly fetchMs: number;
  /** Engine's code, from import to evaluated. */
  readonly importMs: number;
  /** Bytes to ready: parse, plan, compile. */
  readonly readyMs: number;
  /** Parsing's part of it, where the engine's parser is a call of its own. */
  readonly parseMs?: number;
  /** First run after that, with whatever is compiled lazily. */
  readonly firstRunMs: number;
  readonly modelBytes: number;
  /** Addresses of the scripts and WebAssembly that the engine was fetched from. */
  readonly code: readonly string[];
  readonly detail: string;
}

declare global {
  // A declaration of a global needs var.

  var contenderPage: ContenderPage;
}

export interface ContenderPage {
  /** @param side of the pictures that the network takes, in pixels */
  load(
    contender: Contender,
    modelUrl: string,
    preprocessing: Preprocessing,
    side: number,
  ): Promise<LoadMeasurement>;
  /** Runs once on `pixels` ([batch, side, side, 3], base64) and says how long it took, and the logits. */
  run(pixels: string, batch: number): Promise<{ ms: number; logits: number[] }>;
  gpu(pixels: string, batch: number): Promise<{ gpuMs: number | null; peakBytes: number | null }>;
  /** The register peaks of what the engine multiplies with, null where it does not tell. */
  limit(batches: readonly number[]): Promise<ComputeLimit | null>;
}

/** How each engine is imported. Only the one under test is fetched and evaluated. */
export type Engines = Partial<Record<Library, () => Promise<{ readonly load: LoadContender }>>>;

/** Those of the demo's benchmark. */
export const siteEngines: Engines = {
  'onnxruntime-web': () => import('../contenders/onnxruntime.ts'),
  'tensorflow.js': () => import('../contenders/tensorflow.ts'),
  octet: () => import('../contenders/octet.ts'),
};

function decodePixels(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function fetchedCode(): string[] {
  const addresses = performance.getEntriesByType('resource').map(({ name }) => name.replace(/[?#].*/, ''));
  return [...new Set(addresses)].filter((address) => /\.(js|mjs|wasm)$/.test(address));
}

let loaded: LoadedContender | undefined;

/** Between a call's arrival and its clock. */
const SETTLE_MS = 20;

async function runOnce(pixels: Uint8Array, batch: number): Promise<{ ms: number; logits: number[] }> {
  if (!loaded) throw new Error('load a contender first');
  // The browser's other processes are still busy with the message that brought the pictures, on cores that threads want.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const start = performance.now();
  const logits = await loaded.run({ pixels, batch });
  return { ms: performance.now() - start, logits: [...logits] };
}

export function createPage(engines: Engines): ContenderPage {
  return {
    async load(contender, modelUrl, preprocessing, side) {
      const start = performance.now();
      const engine = engines[contender.library];
      if (!engine) throw new Error(`this page does not run ${contender.library}`);
      const { load } = await engine();
      const imported = performance.now();
      const response = await fetch(modelUrl);
      if (!response.ok) throw new Error(`${modelUrl}: ${response.status} ${response.statusText}`);
      const model = new Uint8Array(await response.arrayBuffer());
      const fetched = performance.now();
      loaded = await load(contender, { model, preprocessing });
      const ready = performance.now();
      await loaded.run({ pixels: new Uint8Array(side * side * 3), batch: 1 });
      return {
        importMs: imported - start,
        fetchMs: fetched - imported,
        readyMs: ready - fetched,
        firstRunMs: performance.now() - ready,
        ...(loaded.parseMs !== undefined && { parseMs: loaded.parseMs }),
        modelBytes: model.length,
        code: fetchedCode(),
        detail: loaded.detail ?? contender.settings,
      };
    },
    run: (pixels, batch) => runOnce(decodePixels(pixels), batch),
    async gpu(pixels, batch) {
      const input = decodePixels(pixels);
      const gpuMs = meter ? await meter.time(() => runOnce(input, batch)) : null;
      return { gpuMs, peakBytes: meter && meter.peakBytes() > 0 ? meter.peakBytes() : null };
    },
    limit: async (batches) => (await loaded?.limit?.(batches)) ?? null,
  };
}
