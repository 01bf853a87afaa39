/** WebGPU outside browsers: the runtime's own where it has one (Deno: wgpu), else Dawn, through the optional package `webgpu`. */

/** The package's module, as far as it is used. */
interface DawnModule {
  create(options: string[]): GPU;
}

let dawn: Promise<GPU | null> | undefined;

/**
 * The entry point; null where the runtime has none, and the package is not installed or has no binary for this machine. Dawn's toggles
 * are read from `OCTET_DAWN`, separated by semicolons (e.g. `enable-dawn-features=allow_unsafe_apis;adapter=llvmpipe`).
 */
export async function gpu(): Promise<GPU | null> {
  // Node 20 has no `navigator` at all.
  const own = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  if (own) return own;
  // One for the life of the process: devices crash once the instance that they come from has been collected.
  dawn ??= openDawn();
  return dawn;
}

async function openDawn(): Promise<GPU | null> {
  // A computed name: bundlers for the browser must not follow it.
  const name = 'webgpu';
  try {
    const module = (await import(/* @vite-ignore */ name)) as DawnModule;
    return module.create(process.env.OCTET_DAWN?.split(';').filter(Boolean) ?? []);
  } catch {
    return null;
  }
}
