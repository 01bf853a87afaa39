/** The kernels, compiled for the engine at hand. */
import { DeviceError } from '../errors.ts';
import type { WasmCapabilities } from '../ops/wasm-kernel.ts';
import { type Build, builds, chooseBuild, type EngineOptions } from './kernels.ts';
import { classifyRelaxedDot, type RelaxedProbe } from './relaxed.ts';

export interface WasmEngine {
  readonly module: WebAssembly.Module;
  readonly capabilities: WasmCapabilities;
}

/** Modules are immutable and hold no memory: every session shares them. */
const engines = new Map<Build, Promise<WasmEngine>>();

/** @throws {DeviceError} no SIMD in this engine, or the kernels cannot be loaded */
export async function loadEngine(options: EngineOptions): Promise<WasmEngine> {
  const name = await chooseBuild(options);
  let engine = engines.get(name);
  if (!engine) {
    engine = compile(name, options.shared);
    engines.set(name, engine);
    // What failed to load is tried again by the next session.
    engine.catch(() => engines.delete(name));
  }
  return engine;
}

async function compile(name: Build, shared: boolean): Promise<WasmEngine> {
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
