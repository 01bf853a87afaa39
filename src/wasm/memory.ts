/** The one linear memory of a session: who has which bytes of it. */
import { DeviceError } from '../errors.ts';

const PAGE = 65536;
/** 4 GiB, all that 32-bit addresses reach. */
const MAX_PAGES = 65536;
/** Blocks start at multiples of a cache line, so that no two threads' data share one. */
const ALIGNMENT = 64;
/** The first page belongs to the threads' control words (execute.ts), and address 0 to nobody. */
export const CONTROL_BYTES = PAGE;

export interface Block {
  readonly address: number;
  readonly bytes: number;
}

/** First fit over a list of free blocks; grows the memory where none fits. Bytes are not cleared. */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  #free: Block[] = [];
  #end = CONTROL_BYTES;

  /** @throws {DeviceError} the engine refuses even the smallest memory */
  constructor(shared: boolean) {
    this.memory = createMemory(shared);
  }

  /** Bytes in use, and free ones between them. */
  get usedBytes(): number {
    return this.#end;
  }

  /** @throws {DeviceError} out of memory */
  allocate(bytes: number): Block {
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    const index = this.#free.findIndex((block) => block.bytes >= size);
    if (index >= 0) {
      const { address, bytes: found } = this.#free[index];
      const rest = { address: address + size, bytes: found - size };
      this.#free.splice(index, 1, ...(rest.bytes > 0 ? [rest] : []));
      return { address, bytes: size };
    }
    const block = { address: this.#end, bytes: size };
    this.#grow(this.#end + size);
    this.#end += size;
    return block;
  }

  release(block: Block): void {
    this.#free.push(block);
    this.#free.sort((a, b) => a.address - b.address);
    const merged: { address: number; bytes: number }[] = [];
    for (const { address, bytes } of this.#free) {
      const last = merged.at(-1);
      if (last && last.address + last.bytes === address) last.bytes += bytes;
      else merged.push({ address, bytes });
    }
    const last = merged.at(-1);
    if (last && last.address + last.bytes === this.#end) {
      this.#end = last.address;
      merged.pop();
    }
    this.#free = merged;
  }

  bytesAt(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }

  #grow(bytes: number): void {
    const missing = Math.ceil((bytes - this.memory.buffer.byteLength) / PAGE);
    if (missing <= 0) return;
    try {
      this.memory.grow(missing);
    } catch (cause) {
      throw new DeviceError(
        `out of WebAssembly memory at ${Math.ceil(bytes / 2 ** 20)} MiB: use a smaller batch, or dispose of models that you no longer need`,
        { cause },
      );
    }
  }
}

function createMemory(shared: boolean): WebAssembly.Memory {
  // Shared memory reserves its maximum of address space at once: where that is refused, ask for less.
  for (let maximum = MAX_PAGES; ; maximum /= 2) {
    try {
      return new WebAssembly.Memory({ initial: 2, maximum, shared });
    } catch (cause) {
      if (maximum > 1024) continue;
      throw new DeviceError('the engine gives no WebAssembly memory: free some memory and try again', {
        cause,
      });
    }
  }
}
