/** Small texts kept in IndexedDB. A browser may refuse (private windows, sandboxed frames): then nothing is kept. */

const store = 'texts';

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('octet', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(store);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB cannot be opened'));
    request.onblocked = () => reject(new Error('IndexedDB is blocked'));
  });
}

async function request<T>(
  mode: IDBTransactionMode,
  make: (texts: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(store, mode);
      const asked = make(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
    });
  } finally {
    database.close();
  }
}

export async function recall(key: string): Promise<string | undefined> {
  try {
    const text = await request<unknown>('readonly', (texts) => texts.get(key));
    return typeof text === 'string' ? text : undefined;
  } catch {
    return undefined;
  }
}

export async function remember(key: string, text: string): Promise<void> {
  try {
    await request('readwrite', (texts) => texts.put(text, key));
  } catch {
    // Nothing is kept: the next visit tunes again.
  }
}
