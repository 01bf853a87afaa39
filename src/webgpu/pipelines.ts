/** Compiled kernels: one pipeline for each WGSL text, whatever the operations and batch sizes that use it. */
import { guarded } from './guard.ts';
import { shaderStageCompute } from './flags.ts';

export type BindingAccess = 'read' | 'write';

export interface Kernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export class PipelineCache {
  readonly #device: GPUDevice;
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #kernels = new Map<string, Promise<Kernel>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /**
   * The kernel of a WGSL text whose bindings, in order, have these accesses. Compiled in the background on the first call.
   * @throws {DeviceError} the text does not compile on this device
   */
  kernel(label: string, code: string, accesses: readonly BindingAccess[]): Promise<Kernel> {
    let kernel = this.#kernels.get(code);
    if (!kernel) {
      kernel = this.#compile(label, code, accesses);
      this.#kernels.set(code, kernel);
      // A failed compilation is reported by whoever awaits it, and tried again by the next.
      kernel.catch(() => this.#kernels.delete(code));
    }
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
