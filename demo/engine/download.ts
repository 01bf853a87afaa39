import type { ProgressEvent } from 'octetjs';

/**
 * The bytes of a file of this site, as they arrive; unpacked where they are compressed.
 * @param begun the answer to a request that is under way already
 */
export async function download(
  url: string,
  signal: AbortSignal,
  onProgress: (event: ProgressEvent) => void,
  begun?: Promise<Response>,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await (begun ?? fetch(url, { signal }));
  if (!response.ok || !response.body) {
    throw new Error(`cannot fetch ${url}: the server answered ${response.status}`);
  }
  // Of what is sent: where that is compressed, it says nothing of what arrives.
  const encoded = response.headers.has('Content-Encoding');
  const total = (!encoded && Number(response.headers.get('Content-Length'))) || undefined;
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let loaded = 0;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array<ArrayBuffer>>) {
    signal.throwIfAborted();
    parts.push(part);
    loaded += part.length;
    onProgress({ stage: 'fetch', loaded, total });
  }
  const file = new Blob(parts);
  // Some servers unpack on their own what ends in .gz.
  const compressed = parts[0]?.[0] === 0x1f && parts[0][1] === 0x8b;
  const whole = compressed ? new Response(file.stream().pipeThrough(new DecompressionStream('gzip'))) : file;
  return new Uint8Array(await whole.arrayBuffer());
}
