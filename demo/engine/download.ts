import { InputError, type ProgressEvent } from 'octetjs';

/** The bytes of a file of this site, as they arrive. */
export async function download(
  url: string,
  signal: AbortSignal,
  onProgress: (event: ProgressEvent) => void,
): Promise<Uint8Array> {
  const response = await fetch(url, { signal });
  if (!response.ok || !response.body) {
    throw new InputError(`cannot fetch ${url}: the server answered ${response.status}`);
  }
  // Of what is sent: where that is compressed, it says nothing of what arrives.
  const encoded = response.headers.has('Content-Encoding');
  const total = (!encoded && Number(response.headers.get('Content-Length'))) || undefined;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let loaded = 0;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array<ArrayBuffer>>) {
    parts.push(part);
    loaded += part.length;
    onProgress({ stage: 'fetch', loaded, total });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
