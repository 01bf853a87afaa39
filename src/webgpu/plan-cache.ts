/** A bounded cache of prepared plans: the least recently used go first, but never under a run that is being encoded. */

interface Disposable {
  dispose(): void;
}

interface Entry<T> {
  readonly pending: Promise<T>;
  value: T | undefined;
  users: number;
  dropped: boolean;
}

export class PlanCache<T extends Disposable> {
  readonly #limit: number;
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, Entry<T>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Calls `use` with the value of `key`, made where it is not there; eviction waits until `use` is done. */
  async with<R>(key: string, make: () => Promise<T>, use: (value: T) => R | Promise<R>): Promise<R> {
    const entry = this.#entries.get(key) ?? this.#start(key, make);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    try {
      this.#evict();
      return await use(await entry.pending);
    } finally {
      entry.users--;
      if (entry.dropped && entry.users === 0) entry.value?.dispose();
    }
  }

  /** Disposes of everything, in use or not. */
  dispose(): void {
    for (const entry of this.#entries.values()) {
      entry.dropped = true;
      entry.value?.dispose();
    }
    this.#entries.clear();
  }

  #start(key: string, make: () => Promise<T>): Entry<T> {
    const entry: Entry<T> = { pending: make(), value: undefined, users: 0, dropped: false };
    entry.pending.then(
      (value) => {
        entry.value = value;
        if (entry.dropped && entry.users === 0) value.dispose();
      },
      // What could not be made is tried again by the next run.
      () => this.#entries.get(key) === entry && this.#entries.delete(key),
    );
    return entry;
  }

  #evict(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#limit) return;
      this.#entries.delete(key);
      entry.dropped = true;
      if (entry.users === 0) entry.value?.dispose();
    }
  }
}
