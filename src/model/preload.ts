/**
 * Which backend is to be had, and what it consists of, fetched ahead: for `loadModel`, and for pages that want it on its way before the rest
 * of the library is there. So this imports little.
 */
import { check, count, oneOf, options as optionsOf, withMethods } from '../arguments.ts';
import { DeviceError } from '../errors.ts';
import { adapterName, classifyAdapter, findAdapter } from '../webgpu/adapter.ts';
import type { LoadOptions } from './model.ts';

/** Options of `loadModel` that say which backend, and how many threads it has. */
export type BackendOptions = Pick<LoadOptions, 'backend' | 'device' | 'powerPreference' | 'threads'>;

/** The options that say which backend, for checks of arguments. */
export const backendOptions = {
  backend: oneOf('auto', 'webgpu', 'wasm', 'reference'),
  device: withMethods<GPUDevice>(
    'a GPUDevice',
    'createBuffer',
    'createBindGroup',
    'createComputePipelineAsync',
  ),
  powerPreference: oneOf('low-power', 'high-performance'),
  threads: count,
};

/**
 * Fetches what `loadModel` will need besides the model: the script and the kernels of the backend that it will choose. For a page that
 * downloads the file itself, meanwhile; `loadModel` of an address does it by itself. What cannot be
 * fetched is left to `loadModel`, which says why.
 * @throws {InputError} an option is wrong
 */
export async function preloadBackend(options: BackendOptions = {}): Promise<void> {
  check('preloadBackend', { options: optionsOf(backendOptions) }, { options });
  await preload(options, adapterOnce(options.powerPreference));
}

export async function preload(
  { backend = 'auto', device, threads }: BackendOptions,
  adapter: FoundAdapter,
): Promise<void> {
  try {
    const takesGpu = async () => device !== undefined || (await adapter()).isSoftware === false;
    const chosen = backend !== 'auto' ? backend : (await takesGpu()) ? 'webgpu' : 'wasm';
    if (chosen === 'webgpu') await import('../webgpu/backend.ts');
    if (chosen === 'wasm') {
      const kernels = import('../wasm/kernels.ts').then(({ preloadKernels }) => preloadKernels(threads));
      await Promise.all([kernels, import('../wasm/backend.ts')]);
    }
  } catch {
    // Tried again where it is needed.
  }
}

/** Whether the adapter is a software one, undefined where there is none; and what of that speaks against the GPU. */
interface AdapterKind {
  readonly isSoftware: boolean | undefined;
  readonly obstacle?: string;
}

export type FoundAdapter = () => Promise<AdapterKind>;

/** Looks for the adapter on the first call: preloading and choosing a backend ask once between them. */
export function adapterOnce(powerPreference: GPUPowerPreference | undefined): FoundAdapter {
  let found: Promise<AdapterKind> | undefined;
  return () => (found ??= findAdapterKind(powerPreference));
}

async function findAdapterKind(powerPreference: GPUPowerPreference | undefined): Promise<AdapterKind> {
  try {
    const { adapter } = await findAdapter(powerPreference);
    if (classifyAdapter(adapter.info) !== 'software') return { isSoftware: false };
    return {
      isSoftware: true,
      obstacle: `the only GPU adapter is a software one (${adapterName(adapter.info)})`,
    };
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { isSoftware: undefined, obstacle: `no GPU adapter (${error.message})` };
  }
}
