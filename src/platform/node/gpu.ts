/** WebGPU in Node: Dawn, through the optional package `webgpu`. */

/** The package's module, as far as it is used; it ships no types for it. */
interface DawnModule {
  create(options: string[]): GPU;
}

/**
 * Dawn's entry point; null where the package is not installed or has no binary for this machine. Toggles are read from
 * `OCTET_DAWN` (comma-separated, e.g. `enable-dawn-features=allow_unsafe_apis`).
 */
export async function dawn(): Promise<GPU | null> {
  // A computed name: bundlers for the browser must not follow it.
  const name = 'webgpu';
  let module: DawnModule;
  try {
    module = (await import(/* @vite-ignore */ name)) as DawnModule;
  } catch {
    return null;
  }
  // No names are put in the global object, and a new instance a call: Node exits once nobody refers to it.
  return module.create(process.env.OCTET_DAWN?.split(';').filter(Boolean) ?? []);
}
