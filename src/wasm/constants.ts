/** Prepacked weights and tables in linear memory, shared by every plan whose operation, or what the constant is made of, is the same object. */
import type { WasmConstant, WasmPacking } from '../ops/wasm-kernel.ts';
import type { Block, LinearMemory } from './memory.ts';

interface Entry {
  readonly block: Block;
  users: number;
}

/** A constant in use. */
export interface HeldConstant {
  readonly address: number;
  /** What is to be done, where the constant is new and a kernel packs it. */
  readonly toPack: WasmPacking | undefined;
  release(): void;
}

export class ConstantStore {
  readonly #memory: LinearMemory;
  /** By what they are of, and their keys. */
  readonly #entries = new Map<object, Map<string, Entry>>();

  constructor(memory: LinearMemory) {
    this.#memory = memory;
  }

  /**
   * A constant, packed where no one has yet.
   * @param operation whose it is, where it is of nothing else
   */
  acquire(operation: object, constant: WasmConstant): HeldConstant {
    const { key, of = operation, packing } = constant;
    const entries = this.#entries.get(of) ?? new Map<string, Entry>();
    const known = entries.get(key);
    const entry = known ?? { block: this.#place(constant), users: 0 };
    if (!known) {
      entries.set(key, entry);
      this.#entries.set(of, entries);
    }
    entry.users++;
    return {
      address: entry.block.address,
      toPack: known ? undefined : packing,
      release: () => this.#release(of, key, entry),
    };
  }

  #place({ data, packing }: WasmConstant): Block {
    if (packing) return this.#memory.allocate(packing.bytes);
    const values = data();
    const block = this.#memory.allocate(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#memory.bytesAt(block.address, values.byteLength).set(bytes);
    return block;
  }

  #release(of: object, key: string, entry: Entry): void {
    if (--entry.users > 0) return;
    this.#memory.release(entry.block);
    const entries = this.#entries.get(of)!;
    entries.delete(key);
    if (entries.size === 0) this.#entries.delete(of);
  }
}
