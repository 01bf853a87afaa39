/** WebGPU in Node: Dawn, through the optional package `webgpu`. */

/** The package's module, as far as it is used. */
interface DawnModule {
  create(options: string[]): GPU;
}

let instance: Promise<GPU | null> | undefined;

/**
 * Dawn's entry point; null where the package is not installed or has no binary for this machine. Toggles are read from
 * `OCTET_DAWN`, separated by semicolons (e.g. `enable-dawn-features=allow_unsafe_apis;adapter=llvmpipe`).
 */
export function dawn(): Promise<GPU | null> {
  // One for the life of the process: devices crash once the instance that they come from has been collected.
  instance ??= open();
  return instance;
}

async function open(): Promise<GPU | null> {
  // A computed name: bundlers for the browser must not follow it.
  const name = 'webgpu';
  try {
    const module = (await import(/* @vite-ignore */ name)) as DawnModule;
    return module.create(process.env.OCTET_DAWN?.split(';').filter(Boolean) ?? []);
  } catch {
    return null;
  }
}
