/** The kernels, compiled for the engine at hand. */
import { relaxedSimd, simd } from 'wasm-feature-detect';
import { platform } from '#platform';
import { DeviceError } from '../errors.ts';
import type { WasmCapabilities } from '../ops/wasm-kernel.ts';
import { classifyRelaxedDot, type RelaxedProbe } from './relaxed.ts';

export interface WasmEngine {
  readonly module: WebAssembly.Module;
  readonly capabilities: WasmCapabilities;
}

export interface EngineOptions {
  /** The module for shared memory. */
  readonly shared: boolean;
  /** False keeps to instructions that every engine defines alike. */
  readonly relaxed: boolean;
}

/** Where bundlers look for the files: they copy what is named this way. */
const files = {
  simd: new URL('./build/simd.wasm', import.meta.url),
  'simd-threads': new URL('./build/simd-threads.wasm', import.meta.url),
  relaxed: new URL('./build/relaxed.wasm', import.meta.url),
  'relaxed-threads': new URL('./build/relaxed-threads.wasm', import.meta.url),
};

/** Modules are immutable and hold no memory: every session shares them. */
const engines = new Map<keyof typeof files, Promise<WasmEngine>>();

/** @throws {DeviceError} no SIMD in this engine, or the module cannot be fetched */
export async function loadEngine({ shared, relaxed }: EngineOptions): Promise<WasmEngine> {
  if (!(await simd())) {
    throw new DeviceError(
      'this engine has no WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4, Node 16.4 or newer have it): update it, or use another backend',
    );
  }
  const useRelaxed = relaxed && (await relaxedSimd());
  const name = `${useRelaxed ? 'relaxed' : 'simd'}${shared ? '-threads' : ''}` as const;
  let engine = engines.get(name);
  if (!engine) {
    engine = compile(name, shared);
    engines.set(name, engine);
    // What failed to load is tried again by the next session.
    engine.catch(() => engines.delete(name));
  }
  return engine;
}

async function compile(name: keyof typeof files, shared: boolean): Promise<WasmEngine> {
  const url = files[name];
  let module: WebAssembly.Module;
  try {
    module = await compileFrom(url);
  } catch (cause) {
    throw new DeviceError(
      `cannot load the WebAssembly kernels from ${url.href}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared });
  const { probeRelaxedDot } = (await WebAssembly.instantiate(module, { env: { memory } })).exports;
  const relaxedDot = probeRelaxedDot
    ? classifyRelaxedDot(probeRelaxedDot as RelaxedProbe, memory, 0)
    : 'none';
  return { module, capabilities: { relaxedDot } };
}

/** Compiles a file of the package. */
export async function compileFrom(url: URL): Promise<WebAssembly.Module> {
  if (url.protocol === 'file:') {
    return WebAssembly.compile((await platform.readFile(url)) as Uint8Array<ArrayBuffer>);
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  // Streaming wants the right content type, which not every static host sends.
  if (response.headers.get('content-type') === 'application/wasm')
    return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}
