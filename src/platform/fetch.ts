import { InputError } from '../errors.ts';
import type { AsyncOptions } from '../progress.ts';

/** The body at a URL, read as it arrives. Throws an InputError that names the URL where there is none. */
export async function fetchBytes(url: string | URL, options: AsyncOptions = {}): Promise<Uint8Array> {
  const { signal, onProgress } = options;
  try {
    const response = await fetch(url, signal ? { signal } : {});
    if (!response.ok)
      throw new InputError(`cannot fetch ${String(url)}: the server answered ${response.status}`);
    if (!response.body) return new Uint8Array(await response.arrayBuffer());
    // The length is of what is sent: with a content encoding it says nothing of what arrives here.
    const encoded = response.headers.get('content-encoding') ?? 'identity';
    const length = Number(response.headers.get('content-length') ?? NaN);
    const total = encoded === 'identity' && length > 0 ? length : undefined;
    const parts: Uint8Array[] = [];
    let loaded = 0;
    onProgress?.({ stage: 'fetch', loaded, total });
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      onProgress?.({ stage: 'fetch', loaded, total });
    }
    const bytes = new Uint8Array(loaded);
    let offset = 0;
    for (const part of parts) {
      bytes.set(part, offset);
      offset += part.length;
    }
    return bytes;
  } catch (cause) {
    if (signal?.aborted || cause instanceof InputError) throw cause;
    const why = cause instanceof Error ? describe(cause) : 'network error';
    throw new InputError(`cannot fetch ${String(url)}: ${why}`, { cause });
  }
}

/** Node says "fetch failed", and why in the error behind it. */
function describe({ message, cause }: Error): string {
  if (!(cause instanceof Error)) return message;
  const { code } = cause as Error & { readonly code?: string };
  return `${message} (${[cause.message, code, cause.name].find(Boolean)})`;
}
