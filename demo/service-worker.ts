/**
 * Keeps the site for offline use: the files of the build when it is installed, the large optional ones (float model,
 * ONNX Runtime) when they are first fetched. Also adds the isolation headers to the page, so that on hosts
 * which cannot send them the WebAssembly backend gets its threads from the second visit on.
 */
/// <reference lib="webworker" />
declare const self: ServiceWorkerGlobalScope;

/** Both are filled in by the build (vite.config.ts). */
declare const __PRECACHE_FILES__: readonly string[];
declare const __PRECACHE_VERSION__: string;

const PREFIX = 'octet-';
const CACHE = PREFIX + __PRECACHE_VERSION__;
/** File names carry a hash of their content: what is cached never goes stale. */
const HASHED = '/assets/';

self.addEventListener('install', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE);
      // The page has just fetched most of these: take them from the browser's cache where it still has them.
      await cache.addAll(__PRECACHE_FILES__.map((file) => new Request(file, { cache: 'force-cache' })));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      const names = await caches.keys();
      await Promise.all(
        names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)),
      );
      await self.clients.claim();
    })(),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(self.registration.scope)) return;
  if (request.mode === 'navigate') event.respondWith(page(request));
  else event.respondWith(asset(request));
});

/** The page itself: from the network where there is one, so that a new version is seen at once. */
async function page(request: Request): Promise<Response> {
  try {
    return isolated(await fetch(request));
  } catch (error) {
    // Frames (the engines of the benchmark) are other pages, and none of them is kept.
    const kept =
      request.destination === 'document' && (await (await caches.open(CACHE)).match(self.registration.scope));
    if (kept) return isolated(kept);
    throw error;
  }
}

async function asset(request: Request): Promise<Response> {
  // An isolated page starts no worker whose script does not come with the headers too.
  const finish = request.destination === 'worker' ? isolated : (response: Response) => response;
  // Ours only: pages of the same origin have caches of their own, whose answers may be of another kind.
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) return finish(kept);
  const response = await fetch(request);
  if (response.status === 200 && new URL(request.url).pathname.includes(HASHED)) {
    // Not awaited: the caller need not wait for the disk, and a full disk only costs the copy.
    cache.put(request, response.clone()).catch(() => undefined);
  }
  return finish(response);
}

function isolated(response: Response): Response {
  if (response.status === 0 || response.redirected) return response;
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
