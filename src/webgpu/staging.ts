/** A ring of buffers to read results back through, so that a run need not wait for the one before. */
import { bufferUsage } from './flags.ts';

/** Runs in flight at once; further ones wait their turn. Three hide upload, GPU and readback behind each other; one is spare. */
export const maxRunsInFlight = 4;

/** A place in the ring; it keeps its buffer from run to run. */
export interface StagingSlot {
  /** A buffer of at least `size` bytes, unmapped. */
  buffer(size: number): GPUBuffer;
  /** Gives the slot back. The buffer must be unmapped, or is dropped where `broken`. */
  release(broken?: boolean): void;
}

export class StagingRing {
  readonly #device: GPUDevice;
  readonly #free: (GPUBuffer | null)[] = Array.from({ length: maxRunsInFlight }, () => null);
  readonly #waiting: ((buffer: GPUBuffer | null) => void)[] = [];
  readonly #all = new Set<GPUBuffer>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Waits for a place. */
  async acquire(): Promise<StagingSlot> {
    let held =
      this.#free.length > 0
        ? this.#free.pop()!
        : await new Promise<GPUBuffer | null>((resolve) => this.#waiting.push(resolve));
    let released = false;
    const drop = () => {
      if (!held) return;
      held.destroy();
      this.#all.delete(held);
      held = null;
    };
    return {
      buffer: (size) => {
        if (!held || held.size < size) {
          drop();
          held = this.#device.createBuffer({
            label: 'staging',
            size,
            usage: bufferUsage.mapRead | bufferUsage.copyDst,
          });
          this.#all.add(held);
        }
        return held;
      },
      release: (broken = false) => {
        if (released) return;
        released = true;
        if (broken) drop();
        const next = this.#waiting.shift();
        if (next) next(held);
        else this.#free.push(held);
      },
    };
  }

  /** Destroys every buffer, mapped and pending ones too: their runs' `mapAsync` rejects. */
  dispose(): void {
    for (const buffer of this.#all) buffer.destroy();
    this.#all.clear();
    this.#free.fill(null);
  }
}
