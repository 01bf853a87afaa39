/** Prepacked weights and tables on the device, shared by every plan that names the same key. */
import type { GpuVariant } from '../ops/gpu-kernel.ts';
import { bufferUsage } from './flags.ts';

export class ConstantCache {
  readonly #device: GPUDevice;
  readonly #entries = new Map<string, { readonly buffer: GPUBuffer; users: number }>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { buffer } of this.#entries.values()) bytes += buffer.size;
    return bytes;
  }

  /** The buffer of a constant, uploaded where no one has yet. Each call is undone by one `release`. */
  acquire({ key, data }: GpuVariant['constants'][number]): GPUBuffer {
    let entry = this.#entries.get(key);
    if (!entry) {
      const values = data();
      const buffer = this.#device.createBuffer({
        label: key,
        // A binding is never empty.
        size: Math.max(4, values.byteLength),
        usage: bufferUsage.storage | bufferUsage.copyDst,
      });
      this.#device.queue.writeBuffer(buffer, 0, values as typeof values & { buffer: ArrayBuffer });
      entry = { buffer, users: 0 };
      this.#entries.set(key, entry);
    }
    entry.users++;
    return entry.buffer;
  }

  release(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry || --entry.users > 0) return;
    entry.buffer.destroy();
    this.#entries.delete(key);
  }
}
