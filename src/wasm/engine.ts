/** The kernels, compiled for the engine at hand. */
import { relaxedSimd, simd } from 'wasm-feature-detect';
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

/** Modules that hold the kernels as text, so that every bundler and CDN brings them along; only the one that the engine runs is loaded. */
const builds = {
  simd: () => import('./build/simd.ts'),
  'simd-threads': () => import('./build/simd-threads.ts'),
  relaxed: () => import('./build/relaxed.ts'),
  'relaxed-threads': () => import('./build/relaxed-threads.ts'),
};

/** Modules are immutable and hold no memory: every session shares them. */
const engines = new Map<keyof typeof builds, Promise<WasmEngine>>();

/** @throws {DeviceError} no SIMD in this engine, or the kernels cannot be loaded */
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

async function compile(name: keyof typeof builds, shared: boolean): Promise<WasmEngine> {
  let module: WebAssembly.Module;
  try {
    const { default: base64 } = await builds[name]();
    module = await compileBase64(base64);
  } catch (cause) {
    throw new DeviceError(
      `cannot load the WebAssembly kernels: ${cause instanceof Error ? cause.message : String(cause)}`,
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
/** Compiles a module of src/wasm/build. */
export function compileBase64(base64: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
}
