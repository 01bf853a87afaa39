/** Compiled kernels: one pipeline for each WGSL text, whatever the programs, operations and batch sizes that use it. */
import { guarded } from './guard.ts';
import { shaderStageCompute } from './flags.ts';

export type BindingAccess = 'read' | 'write';

export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Kernels that are remembered, which is many more than a network has: texts hold sizes, and a program may run at ever other ones. */
const MAX_KERNELS = 1024;

export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  /** In order of use, oldest first. */
  readonly #kernels = new Map<string, Promise<Kernel>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /**
   * The kernel of a WGSL text whose bindings, in order, have these accesses. Compiled in the background on the first call.
   * @throws {DeviceError} the text does not compile on this device
   */
  kernel(label: string, code: string, accesses: readonly BindingAccess[]): Promise<Kernel> {
    const known = this.#kernels.get(code);
    const kernel = known ?? this.#compile(label, code, accesses);
    this.#kernels.delete(code);
    this.#kernels.set(code, kernel);
    // A failed compilation is reported by whoever awaits it, and tried again by the next.
    if (!known) kernel.catch(() => this.#kernels.delete(code));
    // Plans hold what they run: the oldest is only compiled again where another plan asks for it.
    if (this.#kernels.size > MAX_KERNELS) this.#kernels.delete(this.#kernels.keys().next().value!);
    return kernel;
  }

  #compile(label: string, code: string, accesses: readonly BindingAccess[]): Promise<Kernel> {
    return guarded(this.#device, `compiling kernel ${label}`, async () => {
      const layout = this.#layout(accesses);
      const pipeline = await this.#device.createComputePipelineAsync({
        label,
        layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: this.#device.createShaderModule({ label, code }), entryPoint: 'main' },
      });
      return { pipeline, layout };
    });
  }

  #layout(accesses: readonly BindingAccess[]): GPUBindGroupLayout {
    const key = accesses.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        label: key,
        entries: accesses.map((access, binding) => ({
          binding,
          visibility: shaderStageCompute,
          buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
        })),
      });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
