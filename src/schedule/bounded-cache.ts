/** A bounded cache of what is prepared for runs: the least recently used goes first, but never under a run. */

interface Disposable {
  dispose(): void;
}

interface Entry<T> {
  readonly value: T;
  users: number;
  dropped: boolean;
}

export class BoundedCache<T extends Disposable> {
  readonly #limit: number;
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Calls `use`, at once, with the value of `key`, made where it is not there; eviction waits until `use` is done. */
  async with<R>(key: string, make: () => T, use: (value: T) => Promise<R>): Promise<R> {
    const entry = this.#entries.get(key) ?? { value: make(), users: 0, dropped: false };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    try {
      this.#evict();
      return await use(entry.value);
    } finally {
      entry.users--;
      if (entry.dropped && entry.users === 0) entry.value.dispose();
    }
  }

  /** Forgets `value` if it is that of `key`: what could not be made ready is made again by the next use. */
  forget(key: string, value: T): void {
    const entry = this.#entries.get(key);
    if (entry?.value === value) this.#drop(key, entry);
  }

  /** Disposes of everything, in use or not. */
  dispose(): void {
    for (const entry of this.#entries.values()) {
      entry.dropped = true;
      entry.value.dispose();
    }
    this.#entries.clear();
  }

  #evict(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#limit) return;
      this.#drop(key, entry);
    }
  }

  #drop(key: string, entry: Entry<T>): void {
    this.#entries.delete(key);
    entry.dropped = true;
    if (entry.users === 0) entry.value.dispose();
  }
}
