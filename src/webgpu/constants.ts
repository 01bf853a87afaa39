/** Prepacked weights and tables on the device, shared by every plan whose operation, or what the constant is made of, is the same object. */
import type { GpuConstant } from '../ops/gpu-kernel.ts';
import { bufferUsage } from './flags.ts';

interface Entry {
  readonly buffer: GPUBuffer;
  users: number;
}

/** A constant in use. */
export interface HeldConstant {
  readonly buffer: GPUBuffer;
  release(): void;
}

export class ConstantCache {
  readonly #device: GPUDevice;
  /** By what they are of, and their keys. */
  readonly #entries = new Map<object, Map<string, Entry>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /**
   * A constant, uploaded where no one has yet.
   * @param operation whose it is, where it is of nothing else
   */
  acquire(operation: object, { key, of = operation, data }: GpuConstant): HeldConstant {
    const entries = this.#entries.get(of) ?? new Map<string, Entry>();
    let entry = entries.get(key);
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
      entries.set(key, entry);
      this.#entries.set(of, entries);
    }
    const held = entry;
    held.users++;
    return { buffer: held.buffer, release: () => this.#release(of, key, held) };
  }

  #release(of: object, key: string, entry: Entry): void {
    if (--entry.users > 0) return;
    entry.buffer.destroy();
    const entries = this.#entries.get(of)!;
    entries.delete(key);
    if (entries.size === 0) this.#entries.delete(of);
  }
}
